"""The Keras networks. See `build_networks`."""

from config import Config
from models.backbones import dlsgan_later
from models.discriminator import build_discriminator
from models.mapper import build_mapper
from models.networks import Networks
from models.synthesis import build_synthesis

__all__ = ["Networks", "build_networks"]


def build_networks(config: Config, precision: str = "float32") -> Networks:
    """Build the networks that a `config.Config` describes, with new random weights.

    `precision` is the Keras dtype policy of the feature maps: float32, mixed_bfloat16 or
    mixed_float16. Weights, styles, images, adversarial values and latents are float32 in each.
    """
    model, latent_dim = config.model, config.latent.dim
    log_variance = config.train.encoder_loss == "gaussian"
    if model.backbone == "dlsgan_later":
        return dlsgan_later.build_networks(
            latent_dim,
            model.style_units,
            model.mapper_layers,
            model.base_channels,
            model.synthesis_channels,
            model.discriminator_channels,
            model.gain,
            log_variance,
            precision,
        )
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
            log_variance,
        ),
    )
