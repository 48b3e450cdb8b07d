"""Progressive GAN and StyleGAN: their sizes, their keys, and training steps with them."""

import keras
import numpy as np
import pytest

from config.backbones import ProgressiveGanConfig, StyleGanConfig
from models.backbones import BUILDERS

HEAD = 513 * 512  # the encoder's


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def build_symbolically(resolution, model):
    """Networks of the paper's size, whose weights are not drawn."""
    with keras.StatelessScope(initialize_variables=False):
        return BUILDERS[model.backbone](512, resolution, model)


@pytest.mark.parametrize(
    ("resolution", "generator", "discriminator"),
    [(1024, 23_079_115, 23_087_249), (256, 23_044_309, 23_052_353), (128, 22_933_394, 22_941_313)],
)
def test_progressive_gan_has_as_many_weights_as_the_authors(resolution, generator, discriminator):
    networks = build_symbolically(resolution, ProgressiveGanConfig())
    assert count(networks.synthesis.trainable_weights) == generator
    assert count(networks.discriminator.trainable_weights) == discriminator + HEAD


def test_without_growing_the_smaller_rgb_layers_are_missing():
    networks = build_symbolically(1024, ProgressiveGanConfig(grow=False))
    assert count(networks.synthesis.weights) == 23_079_115 - 7_608
    assert count(networks.discriminator.weights) == 23_087_249 + HEAD - 10_112


@pytest.mark.parametrize(
    ("resolution", "generator", "discriminator"),
    [(1024, 24_118_379, 23_087_249), (256, 23_984_981, 23_052_353), (128, 23_742_610, 22_941_313)],
)
def test_stylegan_has_as_many_weights_as_the_authors(resolution, generator, discriminator):
    networks = build_symbolically(resolution, StyleGanConfig())
    assert count(networks.mapper.trainable_weights) == 2_101_248
    assert count(networks.synthesis.trainable_weights) == generator
    assert count(networks.discriminator.trainable_weights) == discriminator + HEAD
    noise = [w for w in networks.synthesis.non_trainable_weights if w.name == "constant"]
    if resolution == 1024:
        assert count(noise) == 2_796_192
