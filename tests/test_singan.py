"""SinGAN, held to what was recorded from the authors' code."""

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from config import UserError
from config.textures import load_texture_config
from config.textures.singan import SinganConfig
from models.textures.singan import build_discriminator, build_generator
from tests.killed_textures import train_killed
from train.textures.singan import Singan, pad
from train.textures.singan_training import METHOD, Training

RECORDED = dict(np.load(Path(__file__).parent / "recorded" / "textures" / "singan.npz"))
CONFIG = SinganConfig(
    coarsest_side=14,
    longest_side=28,
    width=6,
    largest_width=6,
    steps=1,
    generator_steps=1,
    learning_rate=5e-4,
    fixed_noise=False,
)
IMAGE = (np.float32(RECORDED["image"] / 255.0) - np.float32(0.5)) * np.float32(2.0)
EXEMPLAR = np.random.default_rng(1).random((14, 17, 3))
SMALL = SinganConfig(
    coarsest_side=11, generator_steps=1, width=4, largest_width=4, steps=1, discriminator_steps=1
)


pytestmark = pytest.mark.usefixtures("untraced")


def channels_last(name):
    return np.transpose(RECORDED[name][0], (1, 2, 0))


class RecordedNumbers:
    """In place of a random generator: the recorded noises and factors, in their order."""

    def __init__(self, noises, factors=()):
        self.noises = [channels_last(name) for name in noises]
        self.factors = list(factors)

    def standard_normal(self, shape, dtype):
        noise = self.noises.pop(0)
        assert noise.shape == shape
        return noise

    def random(self):
        return self.factors.pop(0)


def recorded_weights(network, place, name):
    """(variable, recorded value, its name) of a generator G or a discriminator D."""
    kinds = {"gamma": "weight", "beta": "bias", "kernel": "weight", "bias": "bias"}
    kinds |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    for variable in network.weights:
        layer, weight = variable.path.split("/")[-2:]
        number = int(layer[-1])
        block = "head" if number == 1 else f"body.block{number - 1}"
        if number == 5:
            part = "tail.0" if name == "G" else "tail"
        else:
            part = f"{block}.conv" if layer.startswith("conv") else f"{block}.norm"
        path = f"{place}/{name}/{part}.{kinds[weight]}"
        if name == "D" and "running" in path:
            continue  # it always normalises by the batch
        value = RECORDED[path]
        if weight == "kernel":
            value = np.transpose(value, (2, 3, 1, 0))
        yield variable, value, path


def set_recorded(scale, place):
    for network, name in ((scale.generator, "G"), (scale.discriminator, "D")):
        for variable, value, _ in recorded_weights(network, place, name):
            variable.assign(value)


@pytest.fixture
def training():
    return Training(IMAGE, CONFIG, 0)


@pytest.mark.parametrize("scale", [0, 1])
def test_the_steps_of_a_scale(training, scale):
    """Three of the discriminator and one of the generator; scale 1 begins where 0 ended."""
    present = training.scales[scale]
    set_recorded(training.scales[0], "scale0/after" if scale else "scale0/before")
    if scale:
        fixed_noise = channels_last("scale0/z_opt")[5:-5, 5:-5]
        training.model.fixed_noise.assign(fixed_noise)
    training.begin_scale(scale)
    amplitude = RECORDED[f"scale{scale}/noise_amp"]
    np.testing.assert_allclose(training.model.amplitudes[scale], amplitude, rtol=0, atol=1e-8)
    count = 4 if scale else 2
    noises = [f"scale{scale}/noise/{number}" for number in range(1, count + 1)]
    numbers = RecordedNumbers(noises, RECORDED[f"scale{scale}/alpha"])
    penalties = []
    improve = present.improve_discriminator
    present.improve_discriminator = lambda *inputs: penalties.append(improve(*inputs)[1])
    training.improve(scale, numbers)
    assert numbers.noises == numbers.factors == []
    np.testing.assert_allclose(penalties, RECORDED[f"scale{scale}/gp"], rtol=0, atol=1e-6)
    # The authors' code then draws the reconstruction, which moves the averages once more.
    reconstruction = training.reconstruct(scale)
    noise = np.zeros_like(reconstruction) if scale else pad(training.model.fixed_noise.numpy())
    present.generator([noise[None], reconstruction[None]], training=True)
    compared = 0
    for network, name in ((present.generator, "G"), (present.discriminator, "D")):
        for variable, value, path in recorded_weights(network, f"scale{scale}/after", name):
            if path.endswith("conv.bias"):
                continue  # Normalisation takes it off: its gradient is rounding.
            atol = 2e-4 if path.endswith("running_mean") else 1e-6  # it follows such a bias
            np.testing.assert_allclose(variable, value, rtol=0, atol=atol, err_msg=path)
            compared += 1
    assert compared == 36


def test_the_first_maps_and_images(training):
    scale = training.scales[0]
    set_recorded(scale, "scale0/before")
    noise, fixed_noise = (
        pad(np.broadcast_to(channels_last(f"scale0/noise/{number}"), (15, 18, 3)))
        for number in (2, 1)
    )
    images = {}
    for name, given in (("fake", noise), ("reconstruction", fixed_noise)):
        images[name] = scale.generator([given[None], np.zeros_like(given)[None]], training=True)[0]
        recorded = channels_last(f"scale0/G_first/{name}")
        np.testing.assert_allclose(images[name], recorded, rtol=0, atol=1e-5)
    factor = RECORDED["scale0/alpha"][0]
    real = training.reals[0]
    mixed = factor * real + (1 - factor) * images["fake"]
    for name, image in {"real": real, "fake": images["fake"], "interpolate": mixed}.items():
        found = scale.discriminator(image[None], training=True)[0]
        recorded = channels_last(f"scale0/D_first/{name}")
        np.testing.assert_allclose(found, recorded, rtol=0, atol=1e-5)


@pytest.fixture
def model(training):
    for number, scale in enumerate(training.scales):
        place = f"scale{number}/after"
        for variable, value, _ in recorded_weights(scale.generator, place, "G"):
            variable.assign(value)
    training.model.amplitudes.assign(RECORDED["noise_amps"])
    training.model.fixed_noise.assign(channels_last("scale0/z_opt")[5:-5, 5:-5])
    return training.model


def sample(model, height, width, tile=False, seed=0):
    return model.sample(height, width, seed, tile, lambda *_: None)


@pytest.mark.parametrize(("name", "size"), [("same", (22, 28)), ("larger", (33, 56))])
def test_samples_of_the_same_size_and_of_another(model, monkeypatch, name, size):
    noises = [f"generate/{name}/noise/{scale}" for scale in range(4)]
    monkeypatch.setattr(np.random, "default_rng", lambda seed: RecordedNumbers(noises))
    recorded = channels_last(f"generate/{name}/image")
    np.testing.assert_allclose(2 * sample(model, *size) - 1, recorded, rtol=0, atol=3e-6)


def test_a_sample_from_a_later_scale_keeps_the_layout(model):
    for amplitude in (0.0, 0.5):
        model.amplitudes.assign([1.0, *[amplitude] * 3])
        spread = []
        for start in range(4):
            model.config = CONFIG.model_copy(update={"start_scale": start})
            images = [sample(model, 22, 28, seed=seed) for seed in range(2)]
            spread.append(np.abs(images[0] - images[1]).mean())
        assert spread[0] > spread[1]
        assert (spread[1] > 0) == (amplitude > 0)
    model.amplitudes.assign([1.0, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(sample(model, 22, 28), 0.5 + 0.5 * model.reconstruct(4))
    assert sample(model, 30, 20).shape == (30, 20, 3)


@pytest.mark.parametrize("size", [(12, 14), (44, 56)])
def test_a_sample_of_another_size_from_a_later_scale_stretches_the_layout(model, size):
    model.config = CONFIG.model_copy(update={"start_scale": 3})
    ramp = np.linspace(-0.5, 0.5, model.sizes[2][1], dtype=np.float32)[:, None]
    model.reconstruct = lambda scales: np.broadcast_to(ramp, (*model.sizes[2], 3))
    for layer in model.generators[3].layers:  # which then adds nothing to the ramp
        if layer.name == "conv5":
            layer.set_weights([np.zeros_like(x) for x in layer.get_weights()])
    shown = sample(model, *size)
    wanted = np.linspace(0.25, 0.75, size[1])[:, None]
    np.testing.assert_allclose(shown, np.broadcast_to(wanted, (*size, 3)), rtol=0, atol=0.05)


def test_the_smallest_sample_of_a_large_exemplar_has_a_pixel_at_the_coarsest_scale():
    model = Singan(SMALL, [(11, 11), (256, 256)], 11 / 256, keras.random.SeedGenerator(0))
    for tile in (False, True):
        assert sample(model, 11, 200, tile).shape == (11, 200, 3)


def test_tiles_are_periodic(model):
    """Four tiles side by side are what the networks make of four times the same noise."""
    tile = sample(model, 22, 28, tile=True)
    generator = np.random.default_rng(0)
    image = whole = None
    for scale, size in enumerate(model.sizes):
        noise = model.draw_noise(scale, size, generator)
        image = model.generate(scale, noise, image, tile=True)
        whole = model.generate(scale, np.tile(noise, (2, 2, 1)), whole, tile=True)
    np.testing.assert_allclose(0.5 + 0.5 * image, tile, rtol=0, atol=1e-6)
    np.testing.assert_allclose(whole, np.tile(image, (2, 2, 1)), rtol=0, atol=1e-4)


def test_the_authors_networks():
    seeds = keras.random.SeedGenerator(0)
    for width, generator, discriminator in ((32, 29_763, 29_185), (64, 114_819, 113_665)):
        trainable = [
            sum(np.prod(x.shape) for x in build(width, seeds).trainable_variables)
            for build in (build_generator, build_discriminator)
        ]
        assert trainable == [generator, discriminator]
    config = load_texture_config("singan", preset="paper")
    assert [config.width_of(scale) for scale in (0, 3, 4, 8, 12)] == [32, 32, 64, 128, 128]


def test_wider_networks_begin_new():
    config = SMALL.model_copy(update={"largest_width": 8})
    image = np.zeros((36, 36, 3), np.float32)
    training = Training(image, config, 0)
    assert [config.width_of(scale) for scale in range(len(training.scales))][3:5] == [4, 8]
    for scale in (3, 4):
        weights = training.scales[scale].generator.get_weights()
        training.begin_scale(scale)
        before = training.scales[scale - 1].generator.get_weights()
        taken = before if scale == 3 else weights
        for found, expected in zip(
            training.scales[scale].generator.get_weights(), taken, strict=True
        ):
            np.testing.assert_array_equal(found, expected)


def test_the_rate_falls_and_the_fixed_noise_is_kept_or_drawn_again():
    for fixed in (True, False):
        config = SMALL.model_copy(update={"steps": 5, "fixed_noise": fixed})
        training = Training(np.float32(2 * EXEMPLAR - 1), config, 0)
        training.improve = lambda scale, generator: None
        rates = []
        for number in range(5):
            training.step(number)
            rates.append(float(training.scales[0].learning_rate))
        np.testing.assert_allclose(rates, [2e-3] * 4 + [2e-4], rtol=1e-6)
        before = training.model.fixed_noise.numpy()
        Training.improve(training, 0, np.random.default_rng(0))
        assert np.array_equal(training.model.fixed_noise, before) == fixed


def fit(config, kept=None, on_progress=lambda *_: None):
    return METHOD.fit(EXEMPLAR, config, 3, on_progress, kept)


def assert_same_arrays(model, other):
    assert len(model.arrays()) == len(other.arrays())
    for name, value in other.arrays().items():
        np.testing.assert_array_equal(model.arrays()[name], value, err_msg=name)


def test_a_training_that_is_killed_within_a_scale_goes_on_to_the_same_weights(
    tmp_path, monkeypatch
):
    config = SMALL.model_copy(update={"steps": 2, "fixed_noise": False})
    resumed = train_killed(partial(fit, config), tmp_path, monkeypatch, killed_in=4)
    assert_same_arrays(resumed, fit(config))


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    pixels = []
    whole = fit(SMALL, on_progress=lambda *step: pixels.append(step))
    assert whole.sizes == [(11, 14), (13, 16), (14, 17)]
    assert pixels == [(154, 600), (362, 600), (600, 600)]
    resumed = train_killed(partial(fit, SMALL), tmp_path, monkeypatch)
    restored = METHOD.restore(SMALL, whole.arrays())
    for model in (resumed, restored):
        assert_same_arrays(model, whole)
    np.testing.assert_array_equal(sample(restored, 20, 31), sample(whole, 20, 31))


def test_a_scale_that_is_not_there_to_start_from():
    config = SMALL.model_copy(update={"start_scale": 3})
    message = "start_scale: this image has scales 0 to 2. Received: 3"
    with pytest.raises(UserError, match=message):
        fit(config)
    with pytest.raises(UserError, match=message):
        METHOD.restore(config, fit(SMALL).arrays())
