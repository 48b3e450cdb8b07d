"""The three networks: sizes, shapes, the influence of the config, saving."""

from pathlib import Path

import keras
import numpy as np
import pytest

import config
from models import build_networks

PAPER = Path(__file__).parent.parent / "configs" / "celeba128.yaml"


def test_parameter_counts_of_the_paper():
    counts = [network.count_params() for network in build_networks(config.load(PAPER))]
    assert counts == [2_101_248, 17_157_074, 19_277_377]


@pytest.mark.parametrize("resolution", [8, 16, 64])
def test_shapes_follow_the_resolution(make_config, resolution):
    blocks = resolution.bit_length() - 3
    networks = build_networks(
        make_config(
            **{
                "data.resolution": resolution,
                "model.synthesis_channels": [4] * blocks,
                "model.discriminator_channels": [4] * blocks,
            }
        )
    )
    latents = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    images = networks.generate(latents, np.ones(6, np.float32))
    adversarial, recovered = networks.discriminator(images)
    assert images.shape == (3, resolution, resolution, 3)
    assert adversarial.shape == (3,)
    assert recovered.shape == (3, 6)
    np.testing.assert_array_equal(networks.encode(images), recovered)


def test_widths_depth_and_gain_come_from_the_config(make_config):
    changed = {"model.style_units": 5, "model.mapper_layers": 3, "latent.dim": 7, "model.gain": 1.5}
    networks = build_networks(make_config(**changed))
    assert [layer.kernel.shape for layer in networks.mapper.layers[1:]] == [(7, 5), (5, 5), (5, 5)]
    assert networks.discriminator.get_layer("latent").kernel.shape == (5, 7)
    assert networks.synthesis.get_layer("8_up").gain == 1.5


def test_discriminator_widths_double_up_to_the_base(make_config):
    discriminator = build_networks(make_config()).discriminator
    shapes = {
        name: discriminator.get_layer(name).kernel.shape
        for name in ("from_rgb", "16_conv", "16_down", "16_skip", "8_conv", "8_down", "4_conv")
    }
    assert shapes == {
        "from_rgb": (1, 1, 3, 4),
        "16_conv": (3, 3, 4, 4),
        "16_down": (3, 3, 4, 8),
        "16_skip": (1, 1, 4, 8),
        "8_conv": (3, 3, 8, 8),
        "8_down": (3, 3, 8, 8),
        "4_conv": (3, 3, 8, 8),
    }


def test_the_scale_multiplies_the_latents(make_config):
    networks = build_networks(make_config())
    latents = np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)
    scale = np.array([1, 2, 0, 0.5, 1, 3], np.float32)
    expected = networks.synthesis(networks.mapper(latents * scale))
    np.testing.assert_array_equal(networks.generate(latents, scale), expected)
    changed = latents + np.array([0, 0, 1, 0, 0, 0], np.float32)  # the element with scale 0
    np.testing.assert_array_equal(networks.generate(changed, scale), expected)


def test_a_saved_network_loads_in_safe_mode(make_config, tmp_path):
    networks = build_networks(make_config())
    style = np.random.default_rng(0).standard_normal((2, 8)).astype(np.float32)
    images = networks.synthesis(style)
    inputs = {"synthesis": style, "discriminator": images}
    for name, value in inputs.items():
        network = getattr(networks, name)
        network.save(tmp_path / f"{name}.keras")
        loaded = keras.saving.load_model(tmp_path / f"{name}.keras", safe_mode=True)
        for left, right in zip(
            keras.tree.flatten(network(value)), keras.tree.flatten(loaded(value)), strict=True
        ):
            np.testing.assert_array_equal(left, right)
