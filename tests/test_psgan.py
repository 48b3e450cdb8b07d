"""Spatial GAN and Periodic Spatial GAN, held to steps recorded from the authors' code."""

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from config.textures import load_texture_config
from config.textures.psgan import PsganConfig, SganConfig
from models.textures.psgan import NoiseStage, build_discriminator
from tests.killed_textures import train_killed
from train.textures.psgan import (
    METHOD,
    Noise,
    SpatialGan,
    Training,
    choose_rate,
    draw_crops,
    draw_noise,
    measure_colours,
    sum_squares,
)

RECORDED = dict(np.load(Path(__file__).parent / "recorded" / "textures" / "psgan.npz"))
CONFIG = PsganConfig(
    widths=[6, 8],
    field=4,
    local_channels=4,
    global_channels=3,
    waves=2,
    batch_size=2,
    steps=3,
    learning_rate=2e-4,
    colour_weight=0.0,
    learn_wave_numbers=False,
)
COLOURS = tf.zeros((2, 3))
EXEMPLAR = np.random.default_rng(1).random((28, 33, 3))


pytestmark = pytest.mark.usefixtures("untraced")


def channels_last(name):
    return np.transpose(RECORDED[name], (0, 2, 3, 1))


def recorded_noise(case, global_channels):
    """What the authors' code gives to the stage, without the columns and rows."""
    return Noise(
        channels_last(f"{case}/Z")[..., : global_channels + 4], RECORDED[f"{case}/phase_unit"]
    )


def recorded_stage(case):
    weights = [
        RECORDED[name] for name in sorted(RECORDED) if name.startswith(f"{case}/weights/wave")
    ]
    global_channels = 3 if len(weights) > 1 else 0
    stage = NoiseStage(
        global_channels, 2, case == "affine", keras.random.SeedGenerator(0), hidden=5
    )
    noise = recorded_noise(case, global_channels)
    stage.build(noise.field.shape, noise.offsets.shape)
    stage.set_weights(weights)
    return stage, noise


def recorded_weights(network, when, name):
    """(variable, recorded value) of all but the last bias, which begins as 0 and is not recorded.

    The authors number layers from 0, and keep kernels for true convolution.
    """
    for variable in network.trainable_variables:
        layer, weight = variable.path.split("/")
        if weight == "bias":
            continue
        number = 2 if layer == "image" else int(layer[-1]) - 1
        if name == "dis" and layer.startswith("norm"):
            number -= 1  # its first layer has none
        letter = {"kernel": "W", "scale": "g", "shift": "b"}[weight]
        value = RECORDED[f"plain/{when}/{name}_{letter}{number}"]
        if letter == "W":
            value = np.transpose(value[:, :, ::-1, ::-1], (2, 3, 1, 0))
        yield variable, value


@pytest.fixture
def training():
    made = Training(CONFIG, 0)
    made.model.stage, _ = recorded_stage("plain")
    for network, name in ((made.model.generator, "gen"), (made.discriminator, "dis")):
        for variable, value in recorded_weights(network, "weights", name):
            variable.assign(value)
    return made


@pytest.mark.parametrize("case", ["plain", "affine", "noglobal"])
def test_the_noise_stage(case):
    stage, noise = recorded_stage(case)
    recorded = channels_last(f"{case}/Z_after_periodic")
    np.testing.assert_allclose(stage(*noise), recorded, rtol=0, atol=2e-5)


def test_the_networks_and_losses(training):
    noise = recorded_noise("plain", 3)
    fake = training.model.generate(noise)
    np.testing.assert_allclose(fake, channels_last("plain/fake"), rtol=0, atol=1e-5)
    for name, images in (("fake", fake), ("real", channels_last("plain/X"))):
        mapped = tf.sigmoid(training.discriminator(images))
        np.testing.assert_allclose(mapped, channels_last(f"plain/d_{name}"), rtol=0, atol=2e-6)
    for name, network in (("gen", training.model.generator), ("dis", training.discriminator)):
        np.testing.assert_allclose(sum_squares(network), RECORDED[f"plain/l2_{name}"], rtol=1e-6)


def test_a_step_of_each_network(training):
    noise = recorded_noise("plain", 3)
    loss = training.improve_discriminator(tf.constant(channels_last("plain/X")), noise)
    np.testing.assert_allclose(loss, RECORDED["plain/cost_d"], rtol=1e-6)
    loss = training.improve_generator(noise, COLOURS)
    np.testing.assert_allclose(loss, RECORDED["plain/cost_g"], rtol=1e-6)
    compared = [
        *recorded_weights(training.discriminator, "after_d", "dis"),
        *recorded_weights(training.model.generator, "after_dg", "gen"),
    ]
    for variable, recorded in compared:
        # Where a gradient is about 0, Adam turns its rounding into more.
        atol = 1e-5 if variable.path == "conv1/kernel" else 2e-7
        np.testing.assert_allclose(variable, recorded, rtol=0, atol=atol)
    assert len(compared) == 12
    for number, weight in enumerate(training.model.stage.get_weights()):
        np.testing.assert_array_equal(weight, RECORDED[f"plain/weights/wave{number}"])


def test_the_discriminator_does_not_see_contrast_and_colours_are_held(training):
    images = tf.constant(channels_last("plain/X"))
    seen, seen_again = (training.discriminator(x).numpy() for x in (images, 0.5 * images))
    np.testing.assert_allclose(seen_again, seen, rtol=0, atol=0.01)
    assert np.abs(training.discriminator(images + 0.5) - seen).max() > 0.1
    wanted = measure_colours(0.5 * images)
    np.testing.assert_allclose(wanted[0], 0.5 * np.mean(images, axis=(0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(wanted[1], 0.5 * np.std(images, axis=(0, 1, 2)), atol=1e-4)
    config = CONFIG.model_copy(update={"colour_weight": 10.0, "learning_rate": 0.01})
    held = Training(config, 0)
    noise = draw_noise(CONFIG, 2, 4, 4, np.random.default_rng(0))
    for _ in range(30):
        held.improve_generator(noise, wanted)
    np.testing.assert_allclose(measure_colours(held.model.generate(noise)), wanted, atol=0.05)


def test_the_published_code_leaves_the_wave_numbers():
    for learns in (False, True):
        training = Training(CONFIG.model_copy(update={"learn_wave_numbers": learns}), 0)
        before = training.model.stage.get_weights()
        training.improve_generator(draw_noise(CONFIG, 2, 4, 4, np.random.default_rng(0)), COLOURS)
        changes = [
            np.abs(new - old).max()
            for new, old in zip(training.model.stage.get_weights(), before, strict=True)
        ]
        assert len(changes) == 4
        for change in changes:
            assert change == pytest.approx(2e-4 if learns else 0.0, rel=1e-2)


def test_the_rate_falls_and_the_authors_stays():
    falling = PsganConfig(steps=10, learning_rate=0.1, falls_after=0.5)
    rates = [choose_rate(falling, number) for number in range(10)]
    np.testing.assert_allclose(rates, [0.1] * 6 + [0.08, 0.06, 0.04, 0.02])
    assert choose_rate(falling.model_copy(update={"steps": 1000}), 999) == pytest.approx(0.002)
    paper = load_texture_config("psgan", preset="paper")
    assert {choose_rate(paper, number) for number in (0, 25_000, 49_999)} == {2e-4}


def test_the_authors_networks():
    config = load_texture_config("psgan", preset="paper")
    model = SpatialGan(config, keras.random.SeedGenerator(0))
    assert model.generator.count_params() == 5_536_323
    assert model.stage.count_params() == 3_662
    assert build_discriminator(config.widths, model.stage.seeds).count_params() == 4_320_192
    assert config.smallest_side == 161
    assert load_texture_config("sgan", preset="paper").smallest_side == 257


def test_waves_begin_along_columns_and_rows():
    stage = NoiseStage(0, 2, True, keras.random.SeedGenerator(0))
    ramps = RECORDED["noglobal/Z"][:1, 4:]  # column and row of the first wave, then the second
    field = np.zeros((1, 4, 4, 0), np.float32)
    waves = stage(field, np.zeros((1, 4), np.float32))
    wanted = np.sin(np.transpose(ramps[:, [0, 2, 1, 3]], (0, 2, 3, 1)))
    np.testing.assert_allclose(waves, wanted, rtol=0, atol=1e-5)


def test_noise_of_a_quilt():
    field, offsets = draw_noise(CONFIG, 2, 6, 5, np.random.default_rng(0), quilt=3)
    assert (field.shape, offsets.shape) == ((2, 6, 5, 7), (2, 4))
    vectors = field[..., :3]
    np.testing.assert_array_equal(vectors[:, 3:, 3:], vectors[:, 3:4, 3:4] + np.zeros((1, 3, 2, 1)))
    assert len(np.unique(vectors)) == 2 * 4 * 3
    whole, _ = draw_noise(CONFIG, 2, 6, 5, np.random.default_rng(0))
    assert len(np.unique(whole[..., :3])) == 2 * 3
    assert -1 <= field.min() < -0.9 < 0.9 < field.max() <= 1
    assert len(np.unique(field[..., 3:])) > 230


def test_crops_lie_anywhere_in_the_image():
    image = np.arange(6 * 7).reshape(6, 7, 1).repeat(3, axis=2)
    crops = draw_crops(image, 200, 5, np.random.default_rng(0))
    assert sorted(np.unique(crops[:, 0, 0, 0])) == [0, 1, 2, 7, 8, 9]
    np.testing.assert_array_equal(crops[0, ..., 0], crops[0, 0, 0, 0] + image[:5, :5, 0])


def sample(model, height, width, tile=False):
    return model.sample(height, width, 0, tile, lambda *_: None)


@pytest.mark.parametrize("case", ["plain", "affine"])
def test_tiles_are_periodic_and_edges_match_as_well_as_inside(case):
    model = SpatialGan(CONFIG, keras.random.SeedGenerator(0))
    model.stage, _ = recorded_stage(case)
    assert sample(model, 37, 50).shape == (37, 50, 3)
    tile = sample(model, 40, 48, tile=True)
    for axis in (0, 1):
        steps = np.abs(np.diff(tile, axis=axis)).mean(axis=(1 - axis, 2))
        edge = np.abs(tile.take(0, axis) - tile.take(-1, axis)).mean()
        assert steps.min() < edge < steps.max()
    field, offsets = draw_noise(CONFIG, 1, 5, 6, np.random.default_rng(0))
    around = np.pad(field, ((0, 0), (2, 7), (2, 8), (0, 0)), mode="wrap")  # two of each
    whole = model.generate(Noise(around, offsets), (5, 6))[0].numpy()
    repeat = 0.5 + 0.5 * whole[16:96, 16:112]
    np.testing.assert_allclose(repeat[:40], repeat[40:], rtol=0, atol=1e-4)
    np.testing.assert_allclose(repeat[:, :48], repeat[:, 48:], rtol=0, atol=1e-4)
    # The tile is this but for the statistics of its smaller field.
    assert np.corrcoef(tile.ravel(), repeat[:40, :48].ravel())[0, 1] > 0.99


def fit(config, kept=None, on_progress=lambda *_: None):
    return METHOD.fit(EXEMPLAR, config, 3, on_progress, kept)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG.model_copy(update={"learn_wave_numbers": True}),
        SganConfig(widths=[4], field=3, local_channels=5, batch_size=2, steps=3),
    ],
)
def test_a_killed_training_goes_on_to_the_same_weights(config, tmp_path, monkeypatch):
    whole = fit(config)
    resumed = train_killed(partial(fit, config), tmp_path, monkeypatch)
    restored = METHOD.restore(config, whole.arrays())
    for model in (resumed, restored):
        assert len(model.arrays()) == len(whole.arrays())
        for name, value in whole.arrays().items():
            np.testing.assert_array_equal(model.arrays()[name], value)
    np.testing.assert_array_equal(sample(restored, 30, 31), sample(whole, 30, 31))
