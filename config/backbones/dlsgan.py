"""The keys of the paper's networks, and of those of the authors' later code."""

from typing import Annotated, Literal

from pydantic import Field

from config.backbones.base import Backbone
from config.values import Layers, Width


class DlsganConfig(Backbone):
    """The paper's networks (`models/synthesis.py`, `models/discriminator.py`)."""

    backbone: Literal["dlsgan"] = "dlsgan"
    style_units: Width = 512
    mapper_layers: Layers = 8
    gain: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    base_channels: Width = 512
    synthesis_channels: list[Width]
    discriminator_channels: list[Width]

    def check(self, resolution: int, batch_size: int) -> None:
        blocks = resolution.bit_length() - 3  # 8x8 ... resolution
        for key in ("synthesis_channels", "discriminator_channels"):
            channels = getattr(self, key)
            if len(channels) != blocks:
                raise ValueError(
                    f"model.{key}: resolution {resolution} takes {blocks} values, "
                    f"one a size from 8 to {resolution}. Received: {channels}"
                )

    def rough_size(self, resolution: int, latent_dim: int) -> int:
        widths = (self.base_channels, *self.synthesis_channels, *self.discriminator_channels)
        return (
            self.mapper_layers * self.style_units**2
            + 16 * self.base_channels * self.style_units
            + sum(18 * width**2 for width in widths)  # two 3x3 convolutions a size
        )


class DlsganLaterConfig(DlsganConfig):
    """The networks of the authors' later code (`models/backbones/dlsgan_later.py`)."""

    backbone: Literal["dlsgan_later"] = "dlsgan_later"
