"""Gradient penalties on the discriminator, as pure functions: a value for each sample."""

import tensorflow as tf


def r1_penalty(real_gradient: tf.Tensor) -> tf.Tensor:
    """R1: the squared norm of d a_r / d x, without the factor 1/2 (paper, section 4.1).

    Input: gradient (batch, height, width, 3) with respect to the real images. Output: (batch,).
    """
    return tf.reduce_sum(tf.square(real_gradient), axis=(1, 2, 3))
