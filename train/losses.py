"""The losses of Algorithm 1, as pure functions: a value for each sample of the batch."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


def encoder_loss(latents: tf.Tensor, recovered_latents: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """L_enc: mean over elements of `(z - z')^2 * s^2`. Algorithm 1, line 5.

    Input: latents and recovered latents (batch, d_z), scale (d_z,). Output: (batch,).
    """
    return tf.reduce_mean(tf.square(latents - recovered_latents) * tf.square(scale), axis=1)


def gaussian_encoder_loss(
    latents: tf.Tensor,
    recovered_latents: tf.Tensor,
    scale: tf.Tensor,
    log_variances: tf.Tensor,
) -> tf.Tensor:
    """A negative log likelihood: mean over elements of `l + e / exp(l)`, e = `(z - z')^2 * s^2`.

    l, a second output of the encoder, is the logarithm of the variance of a Gaussian error. As in
    the authors' later code, 1e-7 is added to exp(l), and nothing is halved.

    Input: latents, recovered latents and l (batch, d_z), scale (d_z,). Output: (batch,).
    """
    errors = tf.square((latents - recovered_latents) * scale)
    return tf.reduce_mean(log_variances + errors / (tf.exp(log_variances) + 1e-7), axis=1)


ENCODER_LOSSES = {"squared_error": encoder_loss, "gaussian": gaussian_encoder_loss}


class AdversarialLoss(NamedTuple):
    """f_d and f_g of Algorithm 1, lines 7 and 8.

    Input: adversarial values (batch,) of real images (a_r) and of generated ones (a_g), raw outputs
    of the discriminator. Output: (batch,).
    """

    discriminator: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # f_d(a_r, a_g)
    generator: Callable[[tf.Tensor], tf.Tensor]  # f_g(a_g)


ADVERSARIAL_LOSSES = {
    # Goodfellow et al. 2014, the second form of their generator's loss; the paper's.
    "non_saturating": AdversarialLoss(
        lambda a_r, a_g: tf.nn.softplus(-a_r) + tf.nn.softplus(a_g),
        lambda a_g: tf.nn.softplus(-a_g),
    ),
    # Goodfellow et al. 2014, equation 1: log(1 - sigmoid(a_g)).
    "minimax": AdversarialLoss(
        lambda a_r, a_g: tf.nn.softplus(-a_r) + tf.nn.softplus(a_g),
        lambda a_g: -tf.nn.softplus(a_g),
    ),
    # Arjovsky et al. 2017: a critic, whose slope weight clipping or a penalty has to bound.
    "wasserstein": AdversarialLoss(
        lambda a_r, a_g: a_g - a_r,
        lambda a_g: -a_g,
    ),
    # Mao et al. 2017, equation 9, with labels 1 (real), 0 (generated) and 1 (the generator's aim).
    "least_squares": AdversarialLoss(
        lambda a_r, a_g: tf.square(a_r - 1.0) / 2.0 + tf.square(a_g) / 2.0,
        lambda a_g: tf.square(a_g - 1.0) / 2.0,
    ),
    # Lim and Ye 2017; Miyato et al. 2018.
    "hinge": AdversarialLoss(
        lambda a_r, a_g: tf.nn.relu(1.0 - a_r) + tf.nn.relu(1.0 + a_g),
        lambda a_g: -a_g,
    ),
}
