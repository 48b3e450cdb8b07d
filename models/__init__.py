"""The three Keras networks of DLSGAN. See `build_networks`."""

from typing import NamedTuple

import keras

from models.discriminator import build_discriminator
from models.mapper import build_mapper
from models.synthesis import build_synthesis


class Networks(NamedTuple):
    """The generator in two parts, and the discriminator with the encoder inside."""

    mapper: keras.Model
    synthesis: keras.Model
    discriminator: keras.Model

    def generate(self, latents, scale):
        """G(z∘s): images (batch, height, width, 3), unclipped, from unscaled latents z."""
        return self.synthesis(self.mapper(latents * scale))

    def encode(self, images):
        """E(x): recovered latents (batch, d_z), unscaled, of images (batch, height, width, 3)."""
        _, latents = self.discriminator(images)
        return latents


def build_networks(config, precision="float32"):
    """Build the networks that a `config.Config` describes, with fresh random weights.

    `precision` is the Keras dtype policy of the feature maps: float32, mixed_bfloat16 or
    mixed_float16. Weights, styles, images, adversarial values and latents are float32 in each.
    """
    model, latent_dim = config.model, config.latent.dim
    return Networks(
        mapper=build_mapper(latent_dim, model.style_units, model.mapper_layers, model.gain),
        synthesis=build_synthesis(
            model.style_units, model.base_channels, model.synthesis_channels, model.gain, precision
        ),
        discriminator=build_discriminator(
            latent_dim,
            model.style_units,
            model.base_channels,
            model.discriminator_channels,
            model.gain,
            precision,
        ),
    )
