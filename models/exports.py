"""Keras models of a trained run that stand alone. See `build_generator` and `build_encoder`."""

import keras
import numpy as np

from models.layers import LatentScale


def build_generator(networks, scale):
    """A model from UNSCALED latents z (batch, d_z) to images: the synthesis of the mapper of z∘s.

    Images (batch, height, width, 3) are not clipped. The scale s (d_z,) is a weight of the model,
    which is not trained.
    """
    latents = keras.Input((len(scale),), name="latents")
    layer = LatentScale(dtype="float32", name="latent_scale")
    scaled = layer(latents)
    layer.scale.assign(np.asarray(scale))
    return keras.Model(latents, networks.synthesis(networks.mapper(scaled)), name="generator")


def build_encoder(networks):
    """A model from images (batch, height, width, 3) to recovered, unscaled latents (batch, d_z)."""
    images = keras.Input(networks.discriminator.input_shape[1:], name="images")
    _, latents = networks.discriminator(images)
    return keras.Model(images, latents, name="encoder")
