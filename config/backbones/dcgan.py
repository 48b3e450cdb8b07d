"""The keys of DCGAN. See `DcganConfig`."""

from typing import Literal

from config.backbones.base import Backbone
from config.values import Width


class DcganConfig(Backbone):
    """DCGAN, as its authors' code has it, or as most others' with kernel size 4.

    The networks are in `models/backbones/dcgan.py`.
    """

    backbone: Literal["dcgan"] = "dcgan"
    kernel_size: Literal[5, 4] = 5
    generator_channels: Width = 128  # next to the images; twice as many at each smaller size
    discriminator_channels: Width = 128
    generator_batch_norm: bool = True
    discriminator_batch_norm: bool = True

    @property
    def has_batch_norm(self) -> bool:
        return self.discriminator_batch_norm

    def check(self, resolution: int, batch_size: int) -> None:
        if batch_size < 2 and (self.generator_batch_norm or self.discriminator_batch_norm):
            raise ValueError(
                "train.batch_size: batch normalisation compares the images of a batch, use 2 or "
                f"more. Received: {batch_size} with model.backbone {self.backbone}"
            )

    def rough_size(self, resolution: int, latent_dim: int) -> int:
        widths = [
            c * resolution // 8 for c in (self.generator_channels, self.discriminator_channels)
        ]
        # Each convolution between two sizes has a quarter of the weights of the one before.
        return sum(
            2 * (self.kernel_size * width) ** 2 // 3 + 16 * width * latent_dim for width in widths
        )
