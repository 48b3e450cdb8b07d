"""The discriminator's losses of real images: their values, and what carries their gradient.

With R1, the sum over real images is `sum_i f(a_i) + w |g_i|^2`: f is the adversarial loss, a_i the
adversarial value of image x_i and g_i = d a_i / d x_i. Autodiff goes through the discriminator six
times for its gradient. `carry_gradient` goes four times, where the discriminator is piecewise
linear (convolutions, sums, leaky ReLUs), whatever f is. Its slopes then are constant: images and
biases enter a_i linearly,

    a_i = <g_i, x_i> + sum_l <b_l, d a_i / d b_l>.

Only the gradients on the right contain kernels. With c_i = f'(a_i), the gradient of the sum is that
of

    sum_i <x_i + 2 w g_i / c_i, c_i g_i> + sum_l <b_l, sum_i c_i d a_i / d b_l>

where all c_i and the first factor of the first product count as constants. One pass backward makes
the second factors, and autodiff differentiates them once. R1 does not depend on the biases; their
gradient is the second factor of the last product.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from train.penalties import r1_penalty

# Below it c_i counts as this: c_i divides. A smaller one lets 2 w |g_i|^2 / c_i overflow.
_LEAST_SLOPE = 1e-15


class RealLosses(NamedTuple):
    """Values of real images, and a scalar `carrier` of which only the gradient matters.

    The discriminator's gradient is that of the loss of `adversarial` and `r1` plus `carrier`.
    """

    adversarial: tf.Tensor  # (batch,)
    r1: tf.Tensor  # (batch,)
    carrier: tf.Tensor | float = 0.0


def carry_gradient(
    discriminate: Callable[[tf.Tensor], tf.Tensor],
    x: tf.Tensor,
    biases: Sequence[tf.Tensor],
    loss: Callable[[tf.Tensor], tf.Tensor],
    r1_weight: float,
) -> RealLosses:
    """`carrier` has the gradient of the sum of `loss(a) + r1_weight * r1`, the others have none.

    `discriminate` maps real images x (batch, height, width, 3) to a (batch,), and is piecewise
    linear in x and `biases`; `loss` maps a to values (batch,). Call it within a tape.
    """
    with tf.GradientTape() as tape:
        tape.watch(x)
        adversarial = discriminate(x)
    with tf.GradientTape() as loss_tape:
        values = tf.stop_gradient(adversarial)
        loss_tape.watch(values)
        losses = loss(values)
    slopes = loss_tape.gradient(losses, values)  # c (batch,)
    slopes = tf.where(tf.abs(slopes) < _LEAST_SLOPE, _LEAST_SLOPE, slopes)
    image_gradient, *bias_gradients = tape.gradient(
        adversarial, [x, *biases], output_gradients=slopes, unconnected_gradients="zero"
    )
    divisor = slopes[:, None, None, None]
    real_gradient = tf.stop_gradient(image_gradient) / divisor  # g (batch, height, width, 3)
    direction = x + 2.0 * r1_weight * real_gradient / divisor
    carrier = tf.reduce_sum(direction * image_gradient)
    for bias, gradient in zip(biases, bias_gradients, strict=True):
        carrier += tf.reduce_sum(bias * gradient)
    return RealLosses(values, r1_penalty(real_gradient), carrier)


def penalise_with_autodiff(
    discriminate: Callable[[tf.Tensor], tf.Tensor],
    x: tf.Tensor,
    scale_loss: Callable[[tf.Tensor], tf.Tensor],
) -> RealLosses:
    """Values that have their gradients themselves, for any discriminator: two passes more."""
    adversarial, gradient = differentiate_input(discriminate, x, scale_loss)
    return RealLosses(adversarial, r1_penalty(gradient))


def differentiate_input(
    discriminate: Callable[[tf.Tensor], tf.Tensor],
    images: tf.Tensor,
    scale_loss: Callable[[tf.Tensor], tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Adversarial values a (batch,) of images, and d a / d images, for a penalty to take.

    The gradient is computed of `scale_loss(a)`, against underflow.
    """
    with tf.GradientTape() as tape:
        tape.watch(images)
        adversarial = discriminate(images)
        scaled = scale_loss(adversarial)
    return adversarial, tape.gradient(scaled, images) / scale_loss(1.0)
