"""The mapping network, style mixing, truncation and noise of the style-based GANs."""

import keras
import numpy as np
import pytest

from config.backbones.stylegan import StyleGan2Config
from models.backbones.styles import MixStyles, Noise, build_mapper, mix_styles, truncate
from tests.backbones.recordings import (
    assert_close,
    assign,
    from_torch,
    read_recorded,
    with_prefix,
)


@pytest.fixture(scope="module")
def recorded(pytestconfig):
    return read_recorded(pytestconfig, "stylegan2")


def mapper_of(recorded):
    """The recorded mapping network."""
    arrays, config = recorded
    model = StyleGan2Config(
        style_units=config["w_dim"],
        mapping_layers=config["mapping_layers"],
        average_style_decay=0.998,
        normalize_latents=True,
    )
    mapper = build_mapper(config["z_dim"], config["num_ws"], model)
    weights = with_prefix(arrays, "weights/generator.mapping.")
    variables = {
        f"fc{index}.{name}": variable
        for index in range(config["mapping_layers"])
        for name, variable in zip(
            ("weight", "bias"), mapper.get_layer(f"dense_{index}").weights, strict=True
        )
    } | {"w_avg": mapper.get_layer("broadcast").mean_style}
    assign(variables, {name: from_torch(array) for name, array in weights.items()})
    return mapper


def test_mapper_and_truncation(recorded):
    arrays, _ = recorded
    mapper = mapper_of(recorded)
    styles = mapper(arrays["z"])
    assert styles.shape == (4, 6, 14)
    for layer in range(6):
        assert_close(styles[:, layer], arrays["w"])
    mean = mapper.get_layer("broadcast").mean_style
    assert_close(truncate(styles, mean, 0.7)[:, 0], arrays["w_psi07"])
    partly = truncate(styles, mean, 0.7, cutoff=2)
    assert_close(partly[:, 1], arrays["w_psi07"])
    assert_close(partly[:, 2], arrays["w"])


def test_training_moves_the_mean_style_and_nothing_else_does(recorded):
    arrays, _ = recorded
    mapper = mapper_of(recorded)
    mean = mapper.get_layer("broadcast").mean_style
    mapper(arrays["z"])
    np.testing.assert_array_equal(mean, arrays["weights/generator.mapping.w_avg"])
    assert_close(mapper(arrays["z"], training=True)[:, 0], arrays["w"])
    assert_close(mean, arrays["w_avg_after_update"])


def test_mixing_takes_the_second_styles_from_the_cutoff_on():
    first, second = np.zeros((2, 5, 3), "float32"), np.ones((2, 5, 3), "float32")
    np.testing.assert_array_equal(mix_styles(first, second, 3)[:, :, 0], [[0, 0, 0, 1, 1]] * 2)


def test_training_mixes_with_the_sample_before_in_some_batches():
    keras.utils.set_random_seed(0)
    styles = np.broadcast_to(np.arange(3, dtype="float32")[:, None, None], (3, 5, 2))
    layer = MixStyles(0.75)
    np.testing.assert_array_equal(layer(styles), styles)
    cutoffs = []
    for _ in range(200):
        mixed = np.asarray(layer(styles, training=True))[:, :, 0]
        cutoffs.append(int(np.sum(mixed[1] == 1)))
        np.testing.assert_array_equal(
            mixed, mix_styles(styles, np.roll(styles, 1, 0), cutoffs[-1])[:, :, 0]
        )
    assert set(cutoffs) == {1, 2, 3, 4, 5}
    assert 0.65 < np.mean(np.array(cutoffs) < 5) < 0.85


@pytest.mark.parametrize("per_channel", [False, True])
def test_noise_is_constant_but_for_random_noise_in_training(per_channel):
    maps = np.zeros((2, 4, 4, 3), "float32")
    layer = Noise(is_random=True, per_channel=per_channel)
    np.testing.assert_array_equal(layer(maps, training=True), maps)  # the strength starts at 0
    layer.strength.assign([1.0, 2.0, 3.0] if per_channel else 2.0)
    strengths = np.broadcast_to(layer.strength, (3,))
    np.testing.assert_allclose(layer(maps), np.tile(layer.constant * strengths, (2, 1, 1, 1)))
    noise = np.asarray(layer(maps, training=True)) / strengths
    assert np.unique(noise.round(4)).size == 2 * 4 * 4
    layer.is_random = False
    np.testing.assert_array_equal(layer(maps, training=True), layer(maps))
