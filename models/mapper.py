"""The mapper: the first half of the generator, from a scaled latent to a style."""

import keras

from models.layers import EqualizedDense


def build_mapper(latent_dim, style_units, layers, gain=2.0):
    """A multilayer perceptron, without StyleGAN2's normalisation of its input (as the authors).

    It is float32 under every precision: it takes next to no time.

    Input: scaled latents z∘s (batch, latent_dim). Output: styles (batch, style_units).
    """
    latents = styles = keras.Input((latent_dim,), name="scaled_latents")
    for index in range(layers):
        dense = EqualizedDense(
            style_units, activation="leaky_relu", gain=gain, dtype="float32", name=f"dense_{index}"
        )
        styles = dense(styles)
    return keras.Model(latents, styles, name="mapper")
