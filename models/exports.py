"""Keras models of a trained run that stand alone. See `build_generator` and `build_encoder`."""

import keras
import numpy as np

from models.layers import LatentScale
from models.networks import Networks


def build_generator(networks: Networks, scale: np.ndarray) -> keras.Model:
    """A model from UNSCALED latents z (batch, d_z) to images G(z∘s).

    The images (batch, height, width, 3) are not clipped. The scale s (d_z,) is a weight of the
    model that training leaves alone. Networks that grow are exported as they are now.
    """
    latents = keras.Input((len(scale),), name="latents")
    layer = LatentScale(dtype="float32", name="latent_scale")
    scaled = layer(latents)
    layer.scale.assign(np.asarray(scale))
    return keras.Model(latents, networks.present().generate_from_scaled(scaled), name="generator")


def build_encoder(networks: Networks) -> keras.Model:
    """A model from images (batch, height, width, 3) to recovered, unscaled latents (batch, d_z)."""
    images = keras.Input(networks.image_shape, name="images")
    return keras.Model(images, networks.present().encode(images), name="encoder")
