"""The discriminator's losses of real images: their values, and what carries their gradient.

With R1, the sum over real images is `sum_i f(a_i) + w |g_i|^2`: f is the adversarial loss, a_i the
adversarial value of image x_i and g_i = d a_i / d x_i. Autodiff goes through the discriminator six
times for its gradient. `carry_gradient` goes four times, where the discriminator is piecewise
linear (convolutions, sums, leaky ReLUs). Its slopes then are constant: images and biases enter a_i
linearly,

    a_i = <g_i, x_i> + sum_l <b_l, d a_i / d b_l>.

Only the gradients on the right contain kernels. With c_i = f'(a_i), the gradient of the sum with
respect to the kernels is that of

    sum_i <c_i g_i, x_i + 2 w g_i / c_i> + sum_l <b_l, sum_i c_i d a_i / d b_l>

where x_i + 2 w g_i / c_i, and the first factor of the last product, count as constants: one pass
backward makes c_i g_i and all c_i d a_i / d b_l, and autodiff differentiates them once. R1 does not
depend on the biases, whose gradient is thus at hand: sum_i c_i d a_i / d b_l.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from train.penalties import r1_penalty

_LEAST_SLOPE = 1e-30  # below it c_i counts as this: c_i divides


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
    slopes = tf.stop_gradient(loss_tape.gradient(losses, values))  # c (batch,)
    slopes = tf.where(tf.abs(slopes) < _LEAST_SLOPE, _LEAST_SLOPE, slopes)
    image_gradient, *bias_gradients = tape.gradient(
        adversarial, [x, *biases], output_gradients=slopes, unconnected_gradients="zero"
    )
    divisor = slopes[:, None, None, None]
    real_gradient = tf.stop_gradient(image_gradient) / divisor  # g (batch, height, width, 3)
    direction = tf.stop_gradient(x) + 2.0 * r1_weight * real_gradient / divisor
    carrier = tf.reduce_sum(direction * image_gradient)
    for bias, gradient in zip(biases, bias_gradients, strict=True):
        carrier += tf.reduce_sum(tf.stop_gradient(bias) * gradient)  # for the kernels
        carrier += tf.reduce_sum(bias * tf.stop_gradient(gradient))  # for the biases
    return RealLosses(values, r1_penalty(real_gradient), carrier)
