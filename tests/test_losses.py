"""The losses and the penalty against values computed by hand."""

import math

import numpy as np
import pytest

from train.losses import (
    discriminator_adversarial_loss,
    encoder_loss,
    generator_adversarial_loss,
)
from train.penalties import r1_penalty


def test_encoder_loss_scales_the_error_and_averages_over_elements():
    latents = np.array([[1.0, 2.0], [0.0, 0.0]], np.float32)
    recovered = np.array([[0.0, 4.0], [1.0, 1.0]], np.float32)
    scale = np.array([1.0, 0.5], np.float32)
    # (1 * 1 + 4 * 0.25) / 2 and (1 * 1 + 1 * 0.25) / 2
    np.testing.assert_allclose(encoder_loss(latents, recovered, scale), [1.0, 0.625])


def test_adversarial_losses():
    real, fake = np.array([0.0, 3.0], np.float32), np.array([0.0, -1.0], np.float32)
    discriminator = [2 * math.log(2), math.log1p(math.exp(-3)) + math.log1p(math.exp(-1))]
    np.testing.assert_allclose(discriminator_adversarial_loss(real, fake), discriminator, rtol=1e-6)
    generator = [math.log(2), math.log1p(math.exp(1))]
    np.testing.assert_allclose(generator_adversarial_loss(fake), generator, rtol=1e-6)


def test_r1_penalty_is_the_squared_norm_without_a_half():
    gradient = np.zeros((2, 2, 2, 3), np.float32)
    gradient[0, 0, 1, 2], gradient[0, 1, 1, 0] = 3.0, 4.0
    assert list(r1_penalty(gradient).numpy()) == pytest.approx([25.0, 0.0])
