"""The Keras networks. See `build_networks`."""

from config import Config
from models import backbones
from models.networks import Networks

__all__ = ["Networks", "build_networks"]


def build_networks(config: Config, precision: str = "float32") -> Networks:
    """Build the networks that a `config.Config` describes, with new random weights.

    `precision` is the Keras dtype policy of the feature maps: float32, mixed_bfloat16 or
    mixed_float16. Weights, styles, images, adversarial values and latents are float32 in each.
    """
    return backbones.BUILDERS[config.model.backbone](
        config.latent.dim,
        config.data.resolution,
        config.model,
        config.train.encoder_loss == "gaussian",
        precision,
    )
