"""How much two images look alike: `psnr` and `ssim`."""

import tensorflow as tf

VALUE_RANGE = 2.0  # images are in [-1, 1]
SSIM_WINDOW = 11


def psnr(images: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Peak signal-to-noise ratio in decibels of each image (batch,); the peak is 2.

    Input: images and others (batch, height, width, 3) in [-1, 1].
    """
    return tf.image.psnr(images, others, max_val=VALUE_RANGE)


def ssim(images: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Structural similarity of each image (batch,), TensorFlow's, with an 11x11 Gaussian window.

    Input: images and others (batch, height, width, 3) in [-1, 1]. For images smaller than the
    window the window has their size.
    """
    window = min(SSIM_WINDOW, images.shape[1], images.shape[2])
    return tf.image.ssim(images, others, max_val=VALUE_RANGE, filter_size=window)
