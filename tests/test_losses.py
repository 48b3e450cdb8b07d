"""The losses and penalties against hand values and numbers recorded from other GAN codes."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import tensorflow as tf

from config.sections import TrainConfig
from train.choices import choose_adversarial_loss
from train.losses import ADVERSARIAL_LOSSES, encoder_loss
from train.penalties import drift_penalty, mix, r1_penalty, r2_penalty, wgan_gp_penalty
from train.real_images import differentiate_input

# Recorded from the code of Mescheder et al. 2018 and of Lucic et al. 2018.
RECORDED = dict(np.load(Path(__file__).parent / "recorded" / "losses.npz"))
NAMES = {  # recorded: ours, and what is done to D's output before
    "non_saturating": ("non_saturating", tf.identity),
    "minimax": ("minimax", tf.identity),
    "wgan": ("wasserstein", tf.identity),
    "lsgan": ("least_squares", tf.identity),
    "lsgan_sigmoid": ("least_squares", tf.sigmoid),
    "hinge": ("hinge", tf.identity),
}


def test_encoder_loss_scales_the_error_and_averages_over_elements():
    latents = np.array([[1.0, 2.0], [0.0, 0.0]], np.float32)
    recovered = np.array([[0.0, 4.0], [1.0, 1.0]], np.float32)
    scale = np.array([1.0, 0.5], np.float32)
    # (1 * 1 + 4 * 0.25) / 2 and (1 * 1 + 1 * 0.25) / 2
    np.testing.assert_allclose(encoder_loss(latents, recovered, scale), [1.0, 0.625])


@pytest.mark.parametrize("name", NAMES)
def test_adversarial_losses_are_the_recorded_ones(name):
    ours, output = NAMES[name]
    f_d, f_g = ADVERSARIAL_LOSSES[ours]
    real, fake = (tf.constant(RECORDED[f"logits_{kind}"]) for kind in ("real", "fake"))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([real, fake])
        d_loss, g_loss = f_d(output(real), output(fake)), f_g(output(fake))
    d_real, d_fake = RECORDED[f"{name}/d_loss_real"], RECORDED[f"{name}/d_loss_fake"]
    computed = {
        "g_loss": g_loss,
        "g_loss_derivative": tape.gradient(g_loss, fake),
        "d_loss_real_derivative": tape.gradient(d_loss, real),
        "d_loss_fake_derivative": tape.gradient(d_loss, fake),
        # The value for each pair of a real and a generated image, less the recorded other part.
        "d_loss_real": f_d(output(real)[:, None], output(fake)[None])[:, 0] - d_fake[0],
        "d_loss_fake": f_d(output(real)[:, None], output(fake)[None])[0] - d_real[0],
    }
    for key, value in computed.items():
        expected = RECORDED[f"{name}/{key}"]
        error = np.abs(value - expected).max() / np.abs(expected).max()
        assert error < 1e-6, (key, error)


def test_the_config_knows_the_losses():
    annotation = TrainConfig.model_fields["adversarial_loss"].annotation
    assert get_args(annotation) == tuple(ADVERSARIAL_LOSSES)


def penalise(name, discriminate):
    """Values (3,) of the recorded penalty, from the recorded images."""
    real, fake = (tf.constant(RECORDED[f"tiny/{kind}_images"]) for kind in ("real", "fake"))

    def gradient_at(images):
        return differentiate_input(discriminate, images, lambda value: value)[1]

    mixed = mix(real, fake, RECORDED["tiny/mixing"])
    return {
        "gradient_square_sum_real": lambda: r1_penalty(gradient_at(real)),
        "r1": lambda: 5.0 * r1_penalty(gradient_at(real)),  # gamma / 2, with gamma = 10
        "r2": lambda: 5.0 * r2_penalty(gradient_at(fake)),
        "wgan_gp": lambda: 10.0 * wgan_gp_penalty(gradient_at(mixed)),
        "wgan_gp_lucic": lambda: 10.0 * wgan_gp_penalty(gradient_at(mixed), least_square=1e-4),
        "wgan_gp0": lambda: 10.0 * wgan_gp_penalty(gradient_at(mixed), target=0.0),
        "drift": lambda: 0.001 * drift_penalty(discriminate(real)),
    }[name]()


@pytest.mark.parametrize(
    "name",
    ["gradient_square_sum_real", "r1", "r2", "wgan_gp", "wgan_gp_lucic", "wgan_gp0", "drift"],
)
def test_penalties_and_their_weight_gradients_are_the_recorded_ones(name):
    weights = {
        key: tf.Variable(RECORDED[f"tiny/weights/{key}"]) for key in ("w1", "b1", "w2", "b2")
    }

    def discriminate(images):
        hidden = tf.tanh(tf.reshape(images, (3, -1)) @ weights["w1"] + weights["b1"])
        return (hidden @ weights["w2"] + weights["b2"])[:, 0]

    for kind in ("real", "fake"):
        adversarial = discriminate(RECORDED[f"tiny/{kind}_images"])
        np.testing.assert_allclose(adversarial, RECORDED[f"tiny/{kind}_adversarial"], rtol=1e-5)
    with tf.GradientTape() as tape:
        values = penalise(name, discriminate)
        mean = tf.reduce_mean(values)
    gradients = tape.gradient(mean, weights, unconnected_gradients="zero")
    np.testing.assert_allclose(values, RECORDED[f"tiny/{name}"], rtol=1e-4)
    for key, gradient in gradients.items():
        expected = RECORDED[f"tiny/{name}_mean_gradient/{key}"]
        error = np.abs(gradient - expected).max()
        assert error <= 1e-4 * np.abs(expected).max(), (key, error)


def test_the_gradient_penalty_is_finite_where_the_gradient_is_zero():
    gradient = tf.zeros((1, 2, 2, 3))
    for target, value in ((1.0, 1.0), (0.0, 0.0)):
        with tf.GradientTape() as tape:
            tape.watch(gradient)
            penalty = wgan_gp_penalty(gradient, target)
        assert float(penalty[0]) == pytest.approx(value, abs=1e-5)
        assert np.all(np.isfinite(tape.gradient(penalty, gradient)))


def test_drift_is_added_to_the_loss_of_the_discriminator():
    real, fake = tf.constant([3.0]), tf.constant([-1.0])
    loss = choose_adversarial_loss(TrainConfig(adversarial_loss="wasserstein", drift_weight=0.5))
    assert float(loss.discriminator(real, fake)[0]) == -4.0 + 0.5 * 9.0
    assert float(loss.generator(fake)[0]) == 1.0
