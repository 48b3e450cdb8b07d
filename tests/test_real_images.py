"""The gradient of the losses of real images in four passes, against autodiff's six."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import SMALLEST
from train.choices import due_weights
from train.losses import ADVERSARIAL_LOSSES
from train.penalties import r1_penalty
from train.real_images import carry_gradient
from train.step import Trainer

R1_WEIGHT = 3.0


def loss_of_real(name, flat=None):
    """f_d as a function of a_r alone, moved so that its slope is 0 at the first image's a_r.

    That is where a_r is `flat`; None leaves it where it is.
    """
    f_d = ADVERSARIAL_LOSSES[name].discriminator

    def loss(a):
        moved = a if flat is None else a - tf.stop_gradient(a[0]) + flat
        return f_d(moved, tf.zeros_like(a))

    return loss


LOSSES = {name: loss_of_real(name) for name in ADVERSARIAL_LOSSES} | {
    "hinge, beyond the margin": loss_of_real("hinge", flat=1.5),
    "least_squares, at the label": loss_of_real("least_squares", flat=1.0),
}


@pytest.fixture
def trainer(make_config):
    """A trainer with biases that are not zero."""
    trainer = Trainer(make_config(**SMALLEST | {"train.r1_weight": R1_WEIGHT}), "normal_dls_dg")
    random = np.random.default_rng(0)
    for bias in trainer.networks.linear_biases:
        bias.assign(0.3 * random.normal(size=bias.shape))
    return trainer


@pytest.fixture
def images():
    return tf.constant(np.random.default_rng(1).uniform(-1, 1, (4, 8, 8, 3)).astype(np.float32))


def differentiate_with_autodiff(discriminate, x, loss, variables):
    """(gradients, adversarial values, R1) of the sum of the losses of real images."""
    with tf.GradientTape() as tape:
        with tf.GradientTape() as inner:
            inner.watch(x)
            adversarial = discriminate(x)
        r1 = r1_penalty(inner.gradient(adversarial, x))
        total = tf.reduce_sum(loss(adversarial) + R1_WEIGHT * r1)
    gradients = tape.gradient(total, variables, unconnected_gradients="zero")
    return gradients, adversarial, r1


def relative_error(value, expected):
    return np.linalg.norm(value - expected) / max(np.linalg.norm(expected), 1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_autodiff(trainer, images, loss):
    networks, loss = trainer.networks, LOSSES[loss]

    def discriminate(x):
        return networks.discriminate(x)[0]

    variables = [v.value for v in networks.discriminator.trainable_variables]
    biases = [v.value for v in networks.linear_biases]
    expected, adversarial, r1 = differentiate_with_autodiff(discriminate, images, loss, variables)
    with tf.GradientTape() as tape:
        real = carry_gradient(discriminate, images, biases, loss, R1_WEIGHT)
    gradients = tape.gradient(real.carrier, variables, unconnected_gradients="zero")
    np.testing.assert_array_equal(real.adversarial, adversarial)
    np.testing.assert_allclose(real.r1, r1, rtol=1e-5)
    errors = [relative_error(*pair) for pair in zip(gradients, expected, strict=True)]
    assert max(errors) < 1e-5
    assert sum(np.any(gradient) for gradient in gradients) == len(variables) - 2  # E's head


def test_the_discriminator_is_linear_in_images_and_biases(trainer, images):
    """a = <g, x> + sum <b, da/db>, which is why `linear_biases` lists them."""
    biases = [v.value for v in trainer.networks.linear_biases]
    with tf.GradientTape() as tape:
        tape.watch(images)
        adversarial = trainer.networks.discriminate(images[:1])[0]
    gradients = tape.gradient(adversarial, [images, *biases], unconnected_gradients="zero")
    terms = [tf.reduce_sum(v * g) for v, g in zip([images, *biases], gradients, strict=True)]
    assert float(adversarial[0]) == pytest.approx(float(tf.add_n(terms)), rel=1e-5)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_step_without_linear_biases_has_the_same_gradients(
    trainer, make_config, images, precision, monkeypatch
):
    """A network that declares none leaves everything to autodiff."""
    changes = SMALLEST | {"train.r1_weight": R1_WEIGHT, "train.precision": precision}
    trainer = Trainer(make_config(**changes), "normal_dls_dg")
    latents, weights = trainer.sample_latents(4, 0), due_weights(trainer.penaliser.turns, {})
    gradients, means = trainer.differentiate(images, latents, weights)
    monkeypatch.setattr(type(trainer.networks), "linear_biases", None)
    expected, expected_means = trainer.differentiate(images, latents, weights)
    tolerance = {"float32": 1e-5, "mixed_bfloat16": 0.05}[precision]
    pairs = zip(tf.nest.flatten(gradients), tf.nest.flatten(expected), strict=True)
    assert max(relative_error(*pair) for pair in pairs) < tolerance
    assert means.keys() == expected_means.keys()
    for name, mean in means.items():
        np.testing.assert_allclose(mean, expected_means[name], rtol=tolerance, err_msg=name)


def test_steep_discriminator_where_the_loss_is_flat(images):
    """Two layers, whose product has gradients with a squared norm of 1.92e8."""
    kernel, factor = tf.Variable(tf.fill(images.shape[1:], 1000.0)), tf.Variable(1.0)

    def discriminate(x):
        return factor * tf.reduce_sum(kernel * x, axis=(1, 2, 3))

    loss, variables = LOSSES["hinge, beyond the margin"], [kernel, factor]
    flat = tf.repeat(images[:1], 2, axis=0)
    expected, *_ = differentiate_with_autodiff(discriminate, flat, loss, variables)
    with tf.GradientTape() as tape:
        real = carry_gradient(discriminate, flat, [], loss, R1_WEIGHT)
    for gradient, value in zip(tape.gradient(real.carrier, variables), expected, strict=True):
        assert relative_error(gradient, value) < 1e-5


def test_a_discriminator_that_is_not_piecewise_linear(trainer, images):
    """With tanh the two differ: what it declares matters."""
    smooth = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1, activation="tanh")])
    smooth.build(images.shape)

    def discriminate(x):
        return smooth(x)[:, 0]

    variables = [v.value for v in smooth.trainable_variables]
    expected, *_ = differentiate_with_autodiff(
        discriminate, images, LOSSES["wasserstein"], variables
    )
    with tf.GradientTape() as tape:
        real = carry_gradient(discriminate, images, variables[1:], LOSSES["wasserstein"], R1_WEIGHT)
    gradients = tape.gradient(real.carrier, variables)
    assert relative_error(gradients[0], expected[0]) > 0.01
