"""Generator and encoder, compiled for reconstructing images. See `Inverter`."""

import tensorflow as tf

from models.networks import Networks


class Inverter:
    """Generator and encoder of a `models.Networks`, compiled for batches of any size.

    Latents (batch, d_z) are unscaled; the scale s (d_z,) is applied here. Images (batch, height,
    width, 3) come out clipped to [-1, 1].
    """

    def __init__(self, networks: Networks) -> None:
        dim = networks.latent_dim
        latents, scale = tf.TensorSpec((None, dim)), tf.TensorSpec((dim,))
        images = tf.TensorSpec((None, *networks.image_shape))

        @tf.function(input_signature=[latents, scale], autograph=False)
        def generate(latents: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
            return tf.clip_by_value(networks.generate(latents, scale), -1.0, 1.0)

        self.generate = generate  # clip(G(z∘s))
        self.encode = tf.function(networks.encode, [images], autograph=False)  # E(x)

    def reconstruct(self, images: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        """clip(G(E(x)∘s)): input and output (batch, height, width, 3)."""
        return self.generate(self.encode(images), scale)
