"""How well images survive encoding and generating: `Inverter`, `psnr` and `ssim`."""

import tensorflow as tf

VALUE_RANGE = 2.0  # images are in [-1, 1]
SSIM_WINDOW = 11


class Inverter:
    """Generator and encoder of a `models.Networks`, compiled for batches of any size.

    Latents (batch, d_z) are unscaled; the scale s (d_z,) is applied here. Images (batch, height,
    width, 3) come out clipped to [-1, 1].
    """

    def __init__(self, networks):
        dim = networks.mapper.input_shape[-1]
        latents, scale = tf.TensorSpec((None, dim)), tf.TensorSpec((dim,))
        images = tf.TensorSpec((None, *networks.discriminator.input_shape[1:]))

        @tf.function(input_signature=[latents, scale], autograph=False)
        def generate(latents, scale):
            return tf.clip_by_value(networks.generate(latents, scale), -1.0, 1.0)

        self.generate = generate  # clip(G(z∘s))
        self.encode = tf.function(networks.encode, [images], autograph=False)  # E(x)

    def reconstruct(self, images, scale):
        """clip(G(E(x)∘s)): input and output (batch, height, width, 3)."""
        return self.generate(self.encode(images), scale)


def psnr(images, others):
    """Peak signal-to-noise ratio in decibels of each image (batch,); the peak is 2."""
    return tf.image.psnr(images, others, max_val=VALUE_RANGE)


def ssim(images, others):
    """Structural similarity of each image (batch,), TensorFlow's, with an 11x11 Gaussian window.

    Images smaller than the window (8x8) take a window of their own size.
    """
    window = min(SSIM_WINDOW, images.shape[1], images.shape[2])
    return tf.image.ssim(images, others, max_val=VALUE_RANGE, filter_size=window)
