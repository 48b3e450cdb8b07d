"""The mapper: the first half of the generator, from a scaled latent to a style."""

import keras

from models.layers import EqualizedDense


def build_mapper(latent_dim: int, style_units: int, layers: int, gain: float = 2.0) -> keras.Model:
    """A multilayer perceptron of `layers` dense layers, float32 under every precision.

    As the authors' code does: the input is not normalised, where StyleGAN2 normalises it.

    Input: scaled latents z∘s (batch, latent_dim). Output: styles (batch, style_units).
    """
    latents = styles = keras.Input((latent_dim,), name="scaled_latents")
    for index in range(layers):
        dense = EqualizedDense(
            style_units, activation="leaky_relu", gain=gain, dtype="float32", name=f"dense_{index}"
        )
        styles = dense(styles)
    return keras.Model(latents, styles, name="mapper")
