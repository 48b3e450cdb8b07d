"""The metrics of an epoch against plain computations from their definitions."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import spearmanr

from config import Config
from config.priors import UNIFORM_LIMIT
from data.loading import open_images
from evaluate.element_changes import ElementChanges
from evaluate.evaluator import Evaluator
from evaluate.metrics.bootstrap import interval
from evaluate.metrics.frechet import frechet_distance
from evaluate.metrics.image_quality import psnr, ssim
from evaluate.metrics.precision_recall import precision_recall
from evaluate.sheets import vary_element
from models.latent import differential_entropy, scale_from_window
from models.reference.weights import load_arrays, to_arrays
from tests.conftest import TINY, merge
from train.runtime.distribution import Processes
from train.step import Trainer


class PixelFeatures:
    """Features that a test can compute: the mean colour of four quarters."""

    protocol = {"features": "pixels", "features_sha256": "0", "resize": "none"}  # noqa: RUF012

    def extract(self, images):
        halves = tf.reshape(images, (-1, 2, 8, 2, 8, 3))
        return tf.reshape(tf.reduce_mean(halves, axis=(2, 4)), (-1, 12))


CONFIG = Config.model_validate(merge(TINY, {"data.test_size": 40, "evaluate.bootstrap": 50}))


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory):
    trainer = Trainer(CONFIG, "normal_dls_dg")
    trainer.variance_window.assign(
        np.random.default_rng(0).uniform(0.1, 1.0, (5, 6)).astype(np.float32)
    )
    images = open_images(CONFIG.data, "test")
    cache = tmp_path_factory.mktemp("cache")
    return Evaluator(CONFIG, trainer, trainer.processes, images, PixelFeatures(), cache)


def open_without_features(trainer):
    """The evaluator of a trainer on the same images, without features."""
    images = open_images(CONFIG.data, "test")
    return Evaluator(CONFIG, trainer, trainer.processes, images)


def clipped(images):
    return np.clip(images, -1.0, 1.0)


def test_measures_by_the_definitions(evaluator):
    row, per_image = evaluator.measure(epoch=3)
    trainer, networks = evaluator.model, evaluator.model.networks
    scale = np.asarray(trainer.scale())
    real = evaluator.batches.images.read(np.arange(40))
    latents = np.asarray(trainer.sample_latents(40, 2**31 + 3))
    generated = networks.generate(latents, scale)
    fake = clipped(generated)
    for name, images in {"fake": fake, "real": real}.items():
        again = clipped(networks.generate(networks.encode(images), scale))
        error = np.mean((images - again) ** 2, axis=(1, 2, 3))
        decibels = 10 * np.log10(2.0**2 / error)
        assert row[f"{name}_psnr"] == pytest.approx(decibels.mean(), rel=1e-4)
        assert row[f"{name}_ssim"] == pytest.approx(np.mean(ssim(images, again)), rel=1e-3)
        assert len(per_image[f"{name}_psnr"]) == 40
        np.testing.assert_allclose(per_image[f"{name}_psnr"], decibels, rtol=1e-3)
    errors = np.mean(((latents - networks.encode(generated)) * scale) ** 2, axis=1)
    assert row["fresh_encoder_loss"] == pytest.approx(errors.mean(), rel=1e-4)
    features = evaluator.features
    assert (row["precision"], row["recall"]) == precision_recall(
        features.extract(real), features.extract(fake)
    )
    assert row["fid"] == pytest.approx(
        frechet_distance(features.extract(real), features.extract(fake)), rel=1e-3
    )
    entropy = np.sum(np.log(scale * np.sqrt(2 * np.pi * np.e)))
    assert row["latent_entropy"] == pytest.approx(entropy, rel=1e-5)
    variance = trainer.variance_window.numpy().mean(axis=0)
    assert row["informative_elements"] == np.sum(variance > 0.5)
    low, high = (
        np.stack([vary_element(evaluator.sheet_latents[:8], e, 2.0, 2)[end::2] for e in range(6)])
        for end in (0, 1)
    )  # (element, latent, d_z)
    images = [clipped(networks.generate(x.reshape(-1, 6), scale)) for x in (low, high)]
    changes = np.abs(images[1] - images[0]).mean(axis=(1, 2, 3)).reshape(6, 8).mean(axis=1)
    expected = spearmanr(scale, changes).statistic
    assert row["scale_importance_correlation"] == pytest.approx(expected)


def test_intervals_are_around_the_values(evaluator):
    row, per_image = evaluator.measure(epoch=3)
    names = {"fid", "precision", "recall", "fake_psnr", "fake_ssim", "real_psnr", "real_ssim"}
    names |= {"latent_entropy", "scale_importance_correlation"}
    assert names <= set(row["intervals"])
    for name, (low, high) in row["intervals"].items():
        assert low <= row[name] <= high
    low, high = row["intervals"]["real_psnr"]
    error = per_image["real_psnr"].std() / np.sqrt(40)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.35)  # of 50 resamplings


def test_the_interval_of_the_entropy_is_over_the_steps_of_the_variance_window(evaluator):
    row, _ = evaluator.measure(epoch=3)
    window = evaluator.model.variance_window.numpy()

    def entropy(window):
        return float(differential_entropy(scale_from_window(window, True), "normal"))

    expected = interval(entropy, [window], row["latent_entropy"], 50)
    assert row["intervals"]["latent_entropy"] == pytest.approx(expected, rel=1e-4)
    evaluator.model.variance_window[0].assign(tf.ones(6))  # as before the first step
    assert "latent_entropy" not in evaluator.measure(epoch=3)[0]["intervals"]
    evaluator.model.variance_window.assign(window)


@pytest.mark.parametrize(("prior", "length"), [("normal", 4.0), ("uniform", 2 * UNIFORM_LIMIT)])
@pytest.mark.parametrize("most_at_once", [1, 5, 100])
def test_the_change_of_each_element_by_hand(prior, length, most_at_once):
    """An image whose elements add up changes by weight, scale and length of the way."""
    weights, scale = np.array([0.01, 0.03, 0.02, 0.0], np.float32), np.array([2.0, 1.0, 0.5, 1.0])

    def generate(latents, scale):
        brightness = tf.reduce_sum(latents * scale * weights, axis=1)
        return brightness[:, None, None, None] * tf.ones((1, 2, 2, 3))

    changes = ElementChanges(
        SimpleNamespace(prior=prior, scale=lambda: tf.constant(scale, tf.float32)),
        SimpleNamespace(generate=generate),
        Processes(),
        tf.random.stateless_normal((3, 4), (0, 0)),
        most_at_once,
    )
    expected = length * weights * scale * np.ones((3, 1))
    np.testing.assert_allclose(changes.measure(), expected, atol=1e-6)


def test_the_correlation_of_scale_and_importance_by_hand(evaluator, monkeypatch):
    """Spearman's is 1 - 6 D / (n (n^2 - 1)), D the sum of squared differences of ranks, n = 6."""
    scale = evaluator.scale()
    up, down = scale**3, -scale
    order = np.argsort(scale)
    swapped = scale.copy()
    swapped[order[:2]] = scale[order[1::-1]]  # neighbours: D = 2

    def measured(*images):
        changes = np.array(images, np.float32)
        monkeypatch.setattr(evaluator.element_changes, "measure", lambda: changes)
        row, _ = evaluator.measure(epoch=3)
        name = "scale_importance_correlation"
        return row[name], row["intervals"].get(name)

    assert measured(up, up) == (pytest.approx(1.0), pytest.approx([1.0, 1.0]))
    assert measured(down, down) == (pytest.approx(-1.0), pytest.approx([-1.0, -1.0]))
    assert measured(swapped)[0] == pytest.approx(1 - 6 * 2 / (6 * 35))
    value, (low, high) = measured(*[up] * 4, *[down] * 2)
    assert (value, high) == (pytest.approx(1.0), 1.0)
    assert low < 0.5  # without one of the images the mean may have another order
    assert measured(np.ones(6), np.ones(6)) == (None, None)
    assert measured(np.full(6, np.nan)) == (None, None)


def test_latents_are_fresh_in_every_epoch_and_the_same_when_repeated(evaluator):
    first, again, next_epoch = (evaluator.measure(epoch)[0] for epoch in (1, 1, 2))
    assert first == again
    assert first["fid"] != next_epoch["fid"]
    assert first["real_psnr"] == next_epoch["real_psnr"]


def test_protocol_says_how_the_numbers_are_made(evaluator):
    assert evaluator.protocol(7) == {
        "features": "pixels",
        "features_sha256": "0",
        "resize": "none",
        "bootstrap": 50,
        "frechet_ddof": 0,
        "neighbours": 3,
        "real_images": 40,
        "real_images_sha256": evaluator.images_digest,
        "fake_images": 40,
        "resolution": 16,
        "split": "test",
        "seed": 2**31 + 7,
    }


def test_sheets_show_the_same_latents_and_images_in_every_run_and_epoch(evaluator, monkeypatch):
    """A run with another seed and method, but the same weights and scale, has the same sheets."""
    other = Trainer(CONFIG, "normal_mse_d", seed=5)
    load_arrays(other.networks, to_arrays(evaluator.model.networks))
    monkeypatch.setattr(other, "scale", evaluator.model.scale)
    sheets = evaluator.sheets()
    again = open_without_features(other).sheets()
    ranks = {f"interpolation_{rank}" for rank in range(1, 7)}  # of 6 latent elements
    pairs = {"real_reconstructed", "fake_reconstructed"}
    assert set(sheets) == {"samples", "latent_noise"} | pairs | ranks
    for name, sheet in sheets.items():
        np.testing.assert_array_equal(sheet, again[name])
        assert sheet.shape[0] == 8 * 48 + 7 * 2, name


@pytest.mark.parametrize("run", ["normal_dls_d", "uniform_dls_d"])
def test_latents_and_entropy_follow_the_prior_of_the_run(run):
    trainer = Trainer(CONFIG, run)
    evaluator = open_without_features(trainer)
    per_element = {"normal": 0.5 * np.log(2 * np.pi * np.e), "uniform": np.log(2 * np.sqrt(3))}
    prior = run.partition("_")[0]
    for latents in (trainer.sample_latents(999, trainer.random), evaluator.sheet_latents):
        assert (np.abs(latents).max() > 2) == (prior == "normal")
    row, _ = evaluator.measure(1)  # s = 1 before the first step
    assert row["latent_entropy"] == pytest.approx(6 * per_element[prior], rel=1e-5)
    assert row["scale_importance_correlation"] is None
    assert not {"latent_entropy", "scale_importance_correlation"} & set(row["intervals"])


def test_without_dls_no_element_is_moved(monkeypatch):
    evaluator = open_without_features(Trainer(CONFIG, "normal_mse_dg"))
    monkeypatch.delattr(evaluator.element_changes, "measure_batch")
    row, _ = evaluator.measure(1)
    assert row["scale_importance_correlation"] is None
    assert not {"latent_entropy", "scale_importance_correlation"} & set(row["intervals"])


def test_psnr_by_hand():
    images = np.zeros((2, 16, 16, 3), np.float32)
    others = images + np.array([0.2, 0.02], np.float32)[:, None, None, None]
    np.testing.assert_allclose(psnr(images, others), [20.0, 40.0], rtol=1e-4)


def test_ssim_is_as_wang_et_al_2004_define_it():
    """Gaussian windows of 11 pixels and deviation 1.5, inside the image, a channel at a time."""
    random = np.random.default_rng(0)
    image = random.uniform(-1, 1, (16, 16, 3))
    other = np.clip(image + random.normal(0, 0.3, image.shape), -1, 1)
    taps = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(taps, taps) / np.sum(np.outer(taps, taps))
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    values = []
    for y, x, channel in np.ndindex(6, 6, 3):
        a, b = (i[y : y + 11, x : x + 11, channel] for i in (image, other))
        mean_a, mean_b = np.sum(window * a), np.sum(window * b)
        var_a, var_b = np.sum(window * a * a) - mean_a**2, np.sum(window * b * b) - mean_b**2
        covariance = np.sum(window * a * b) - mean_a * mean_b
        luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        values.append(luminance * (2 * covariance + c2) / (var_a + var_b + c2))
    measured = ssim(*(x[None].astype(np.float32) for x in (image, other)))
    np.testing.assert_allclose(measured, np.mean(values), rtol=1e-3)


def test_ssim_of_constant_images_by_hand():
    """With no variance only the luminance term is left: (2ab + c) / (a^2 + b^2 + c), c = 0.02^2."""
    a, b, c = 0.5, 0.8, (0.01 * 2) ** 2
    images, others = (np.full((1, 16, 16, 3), value, np.float32) for value in (a, b))
    expected = (2 * a * b + c) / (a * a + b * b + c)
    np.testing.assert_allclose(ssim(images, others), expected, rtol=1e-3)
    np.testing.assert_allclose(ssim(images[:, :8, :8], others[:, :8, :8]), expected, rtol=1e-3)
