"""The paper's networks. See `build_networks`."""

from config.backbones.dlsgan import DlsganConfig
from models.discriminator import build_discriminator
from models.mapper import build_mapper
from models.networks import Networks
from models.synthesis import build_synthesis


def build_networks(
    latent_dim: int,
    resolution: int,
    model: DlsganConfig,
    log_variance: bool = False,
    dtype: str = "float32",
) -> Networks:
    """Mapper, synthesis and discriminator for images (resolution, resolution, 3)."""
    units, channels, gain = model.style_units, model.base_channels, model.gain
    mapper = build_mapper(latent_dim, units, model.mapper_layers, gain)
    synthesis = build_synthesis(units, channels, model.synthesis_channels, gain, dtype)
    discriminator = build_discriminator(
        latent_dim, units, channels, model.discriminator_channels, gain, dtype, log_variance
    )
    return Networks(mapper, synthesis, discriminator)
