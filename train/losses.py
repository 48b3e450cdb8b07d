"""The losses of Algorithm 1, as pure functions: a value for each sample of the batch."""

import tensorflow as tf


def encoder_loss(latents, recovered_latents, scale):
    """L_enc: mean over elements of `(z - z')^2 * s^2`. Algorithm 1, line 5.

    Input: latents and recovered latents (batch, d_z), scale (d_z,). Output: (batch,).
    """
    return tf.reduce_mean(tf.square(latents - recovered_latents) * tf.square(scale), axis=1)


def discriminator_adversarial_loss(real_adversarial, fake_adversarial):
    """f_d of the non-saturating GAN: `softplus(-a_r) + softplus(a_g)`. Algorithm 1, line 7.

    Input: adversarial values (batch,) of real and generated images. Output: (batch,).
    """
    return tf.nn.softplus(-real_adversarial) + tf.nn.softplus(fake_adversarial)


def generator_adversarial_loss(fake_adversarial):
    """f_g of the non-saturating GAN: `softplus(-a_g)`. Algorithm 1, line 8.

    Input: adversarial values (batch,) of generated images. Output: (batch,).
    """
    return tf.nn.softplus(-fake_adversarial)


def r1_penalty(real_gradient):
    """R1: squared norm of d a_r / d x, without the factor 1/2 (paper, section 4.1).

    Input: gradient (batch, height, width, 3) with respect to the real images. Output: (batch,).
    """
    return tf.reduce_sum(tf.square(real_gradient), axis=(1, 2, 3))
