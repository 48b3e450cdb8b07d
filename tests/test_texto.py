"""Texto, held to a synthesis recorded from the authors' code, and its own properties."""

from pathlib import Path

import numpy as np
import pytest

from config.textures.texto import TextoConfig
from train.textures import texto
from train.textures.gaussian_field import compute_texton, field_from_noise, patch_covariance
from train.textures.optimal_transport import stochastic_ascent
from train.textures.patches import average_patches, extract_patches
from train.textures.texto import METHOD, Scale, Texto, choose_patches, resize_to_scale

RECORDED = dict(np.load(Path(__file__).parent / "recorded" / "textures" / "texto.npz"))
IMAGE = RECORDED["texto/image"] / 255.0
CONFIG = TextoConfig(scales=2, components=2, steps=300)


class RecordedPermutation:
    """In place of a generator of random numbers."""

    def __init__(self, number):
        self.number = number

    def permutation(self, count):
        permutation = RECORDED[f"texto/scale{self.number}/permutation"]
        assert len(permutation) == count
        return permutation


def close(value, name):
    np.testing.assert_allclose(value, RECORDED[f"texto/{name}"], rtol=0, atol=6e-8)


@pytest.fixture(scope="module")
def model():
    """Texto with the recorded random choices."""
    scales = []
    for number in (0, 1):
        targets, doubled = texto.choose_targets(IMAGE, number, CONFIG, RecordedPermutation(number))
        draws = RECORDED[f"texto/scale{number}/source_samples"].astype(np.float64)
        uniform = np.full(len(targets), 1.0 / len(targets))
        potentials = stochastic_ascent([draws], targets, 1.0, uniform)
        scales.append(Scale(targets, potentials, doubled))
    return Texto(CONFIG, *compute_texton(resize_to_scale(IMAGE, 1)), scales)


@pytest.fixture(scope="module")
def estimated():
    return METHOD.fit(IMAGE, CONFIG, 0, lambda done, total: None, None)


@pytest.mark.parametrize("number", [0, 1])
def test_exemplars_and_potentials_are_the_recorded_ones(model, number):
    close(resize_to_scale(IMAGE, number), f"scale{number}/exemplar")
    close(resize_to_scale(IMAGE, number, times=2), f"scale{number}/exemplar_double")
    close(model.scales[number].targets, f"scale{number}/y")
    close(model.scales[number].potentials, f"scale{number}/v")


def test_the_coarsest_law_is_the_recorded_one(model):
    close(model.mean, "mean")
    close(model.texton, "texton")
    close(patch_covariance(model.texton, 3), "covariance_pixel_major")
    close(model.scales[1].doubled.reshape(99, -1), "scale1/y_double")


def test_the_synthesis_of_30x27_pixels_is_the_recorded_one(model):
    noise = RECORDED["texto/synthesis_noise"][:, :, 0].astype(np.float64)
    field = field_from_noise(model.mean, model.texton, noise)[:15, :14]
    close(model.refine(field, 30, 27), "synthesis")


def test_many_rows_are_assigned_in_strips(model, monkeypatch):
    image = np.random.default_rng(0).random((9, 8, 3))
    whole = choose_patches(image, model.scales[0], 3)
    assert whole.shape == (7, 6)
    monkeypatch.setattr(texto, "_ASSIGNED_AT_ONCE", 17)  # two rows
    np.testing.assert_array_equal(choose_patches(image, model.scales[0], 3), whole)


@pytest.mark.parametrize("is_periodic", [False, True])
def test_an_image_is_the_average_of_its_own_patches(is_periodic):
    image = np.random.default_rng(0).random((6, 5, 3))
    patches = extract_patches(image, 3, is_periodic)
    assert patches.shape == ((6, 5, 27) if is_periodic else (4, 3, 27))
    np.testing.assert_array_equal(patches[0, 0, 3:6], image[0, 1])  # row, column, channel
    chosen = np.arange(patches.shape[0] * patches.shape[1]).reshape(patches.shape[:2])
    made = average_patches(chosen, patches.reshape(-1, 3, 3, 3), 1, is_periodic)
    np.testing.assert_allclose(made, image, rtol=0, atol=1e-15)


def test_the_same_seed_makes_the_same_model_and_another_seed_another_sample(estimated):
    again = METHOD.fit(IMAGE, CONFIG, 0, lambda done, total: None, None)
    for name, value in estimated.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], value)
    first, same, other = (estimated.sample(31, 20, seed) for seed in (1, 1, 2))
    assert first.shape == (31, 20, 3)
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).mean() > 0.01


def test_a_restored_model_makes_the_same_sample(estimated):
    restored = METHOD.restore(CONFIG, estimated.arrays())
    np.testing.assert_array_equal(restored.sample(20, 20, 3), estimated.sample(20, 20, 3))


def test_every_patch_of_a_tile_is_an_average_of_the_exemplars_also_over_the_edge(estimated):
    image = estimated.sample(32, 24, 0, tile=True)
    rolled = np.roll(image, (16, 12), axis=(0, 1))
    inside, over_edge = (
        np.abs(np.diff(x, axis=0))[middle].mean()
        for x, middle in ((image, slice(2, 29)), (rolled, slice(15, 16)))
    )
    assert over_edge < 1.5 * inside
    plain = estimated.sample(32, 24, 0)
    seam = np.abs(plain[0] - plain[-1]).mean()
    assert np.abs(image[0] - image[-1]).mean() < 0.7 * seam


def test_progress_reaches_the_end():
    steps = []
    METHOD.fit(IMAGE, CONFIG, 0, lambda *step: steps.append(step), None)
    assert steps == [(300, 600), (600, 600)]
