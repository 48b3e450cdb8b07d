"""Penalties on the discriminator, as pure functions: a value for each sample."""

import tensorflow as tf

_LEAST_SQUARE = 1e-12  # the root of 0 has no finite derivative


def r1_penalty(real_gradient: tf.Tensor) -> tf.Tensor:
    """R1: the squared norm of d a_r / d x, without the factor 1/2 (paper, section 4.1).

    As the authors' code does: a weight of 10 here is gamma = 20 in Mescheder et al. 2018.
    Input: gradient (batch, height, width, 3) with respect to the real images. Output: (batch,).
    """
    return tf.reduce_sum(tf.square(real_gradient), axis=(1, 2, 3))


def r2_penalty(fake_gradient: tf.Tensor) -> tf.Tensor:
    """R2: R1's formula at generated images, also without the factor 1/2 (Mescheder et al. 2018).

    Input: gradient (batch, height, width, 3) with respect to generated images. Output: (batch,).
    """
    return r1_penalty(fake_gradient)


def wgan_gp_penalty(
    mixed_gradient: tf.Tensor, target: float = 1.0, least_square: float = _LEAST_SQUARE
) -> tf.Tensor:
    """WGAN-GP: `(norm - target)^2`, which pulls the norm from both sides (Gulrajani et al. 2017).

    A target of 0 is the zero-centred penalty. `least_square` is added under the root.
    Input: gradient (batch, height, width, 3) with respect to `mix`. Output: (batch,).
    """
    norm = tf.sqrt(r1_penalty(mixed_gradient) + least_square)
    return tf.square(norm - target)


def drift_penalty(real_adversarial: tf.Tensor) -> tf.Tensor:
    """`a_r^2`, which keeps a critic's values near 0 (Karras et al. 2018, appendix A.1).

    Input and output: (batch,).
    """
    return tf.square(real_adversarial)


def mix(real_images: tf.Tensor, fake_images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Points between real and generated images (batch, height, width, 3), at factors (batch,)."""
    return real_images + factors[:, None, None, None] * (fake_images - real_images)


def path_lengths(style_gradient: tf.Tensor) -> tf.Tensor:
    """How far images move with w: the root of the mean over layers of the squared norm of J.

    J, the input, is the gradient (batch, num_ws, d_w) with respect to w of `sum(images * noise) /
    sqrt(height * width)`, with noise from N(0, 1) (Karras et al. 2020, section 3.2). Output:
    (batch,).
    """
    squares = tf.reduce_sum(tf.square(style_gradient), axis=2)  # (batch, num_ws)
    return tf.sqrt(tf.reduce_mean(squares, axis=1))


def path_length_penalty(
    lengths: tf.Tensor, mean_length: tf.Tensor, decay: float = 0.99
) -> tuple[tf.Tensor, tf.Tensor]:
    """`(length - mean)^2`, and the moving mean of lengths (Karras et al. 2020, section 3.2).

    As the authors' code does: the mean moves first, by 1 - `decay`, and has a gradient. Input:
    path lengths (batch,) and the mean so far, 0 at first. Output: penalties (batch,), new mean.
    """
    mean_length = decay * mean_length + (1.0 - decay) * tf.reduce_mean(lengths)
    return tf.square(lengths - mean_length), mean_length
