"""The losses of Algorithm 1, as pure functions: a value for each sample of the batch."""

import tensorflow as tf


def encoder_loss(latents: tf.Tensor, recovered_latents: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """L_enc: mean over elements of `(z - z')^2 * s^2`. Algorithm 1, line 5.

    Input: latents and recovered latents (batch, d_z), scale (d_z,). Output: (batch,).
    """
    return tf.reduce_mean(tf.square(latents - recovered_latents) * tf.square(scale), axis=1)


def discriminator_adversarial_loss(
    real_adversarial: tf.Tensor, fake_adversarial: tf.Tensor
) -> tf.Tensor:
    """f_d of the non-saturating GAN: `softplus(-a_r) + softplus(a_g)`. Algorithm 1, line 7.

    Input: adversarial values (batch,) of real and generated images. Output: (batch,).
    """
    return tf.nn.softplus(-real_adversarial) + tf.nn.softplus(fake_adversarial)


def generator_adversarial_loss(fake_adversarial: tf.Tensor) -> tf.Tensor:
    """f_g of the non-saturating GAN: `softplus(-a_g)`. Algorithm 1, line 8.

    Input: adversarial values (batch,) of generated images. Output: (batch,).
    """
    return tf.nn.softplus(-fake_adversarial)
