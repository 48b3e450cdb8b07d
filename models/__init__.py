"""The Keras networks. See `build_networks`."""

from functools import partial

from config import Config
from models import backbones
from models.codes import keep_codes
from models.joint import join_encoder
from models.networks import Networks

__all__ = ["Networks", "build_networks"]


def build_networks(config: Config, precision: str = "float32") -> Networks:
    """Build the networks that a `config.Config` describes, with new random weights.

    `precision` is the Keras dtype policy of the feature maps: float32, mixed_bfloat16 or
    mixed_float16. Weights, styles, images, adversarial values and latents are float32 in each.
    """
    build = partial(
        backbones.BUILDERS[config.model.backbone],
        config.latent.dim,
        config.data.resolution,
        config.model,
        config.train.has_log_variances,
        precision,
    )
    networks = build()
    if config.train.method in ("bigan", "ali"):
        return join_encoder(networks, build().discriminator)
    if config.train.method == "infogan":
        return keep_codes(networks, config.train.infogan_codes)
    return networks
