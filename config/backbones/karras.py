"""The keys of Progressive GAN, and what the StyleGANs share with it. See `KarrasConfig`."""

import json
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from config.backbones.base import Backbone
from config.values import Count, FirstResolution, Weight, Width

ChannelBase = Annotated[int, Field(ge=4, le=2**20)]


class KarrasConfig(Backbone):
    """What Progressive GAN and the StyleGANs have in common (Karras et al. 2018 to 2021)."""

    channel_base: ChannelBase = 16384  # channels: this / height
    channel_max: Width = 512
    minibatch_stddev_group: Annotated[int, Field(ge=0, le=1024)] = 4
    minibatch_stddev_features: Count = 1
    normalize_latents: bool = False
    allow_ambiguous_latents: bool = False

    def channels(self, size: int) -> int:
        """Channels of feature maps (size, size)."""
        return min(max(self.channel_base // size, 1), self.channel_max)

    def ambiguities(self) -> dict[str, str]:
        """The keys whose values give an image more than one latent, and why."""
        if not self.normalize_latents:
            return {}
        return {"normalize_latents": "all latents of one direction make the same image"}

    def check(self, resolution: int, batch_size: int) -> None:
        for key, reason in self.ambiguities().items():
            if not self.allow_ambiguous_latents:
                raise ValueError(
                    f"model.{key}: {reason}, so no encoder can recover it: leave the key out, or "
                    "set model.allow_ambiguous_latents to true. "
                    f"Received: {json.dumps(getattr(self, key))}"
                )
        channels, features = self.channels(4), self.minibatch_stddev_features
        if channels % features:
            raise ValueError(
                f"model.minibatch_stddev_features: use a divisor of the {channels} channels at "
                f"4x4. Received: {features}"
            )


class Schedule(NamedTuple):
    """When networks grow: numbers of real images at a size, and while the next is faded in."""

    first_lod: int
    stage_images: int
    fade_images: int

    @property
    def images(self) -> int:
        """How many real images they are trained on before they have their full size."""
        return self.first_lod * (self.stage_images + self.fade_images)


class GrowingConfig(KarrasConfig):
    """What Progressive GAN and StyleGAN have in common: they grow while they are trained."""

    grow: bool = True
    first_resolution: FirstResolution = 4
    stage_kimg: Weight = 600.0  # thousands of real images at a size
    fade_kimg: Weight = 600.0  # and while the next size is faded in

    def schedule(self, resolution: int) -> Schedule:
        """When networks for images of this height grow."""
        first_lod = resolution.bit_length() - self.first_resolution.bit_length()
        return Schedule(first_lod, round(1000 * self.stage_kimg), round(1000 * self.fade_kimg))

    def check_length(self, resolution: int, images: int) -> None:
        needed = self.schedule(resolution).images if self.grow else 0
        if needed > images:
            raise ValueError(
                f"model.stage_kimg, model.fade_kimg: growing from {self.first_resolution}x"
                f"{self.first_resolution} to {resolution}x{resolution} takes {needed:,} images, "
                f"all epochs together have {images:,}. Make them smaller, or set model.grow to "
                f"false. Received: {self.stage_kimg:g}, {self.fade_kimg:g}"
            )

    def stages(self, resolution: int) -> int:
        """The sizes of images from 4x4 to the full one; one without growing."""
        return resolution.bit_length() - 2 if self.grow else 1

    def check(self, resolution: int, batch_size: int) -> None:
        super().check(resolution, batch_size)
        if self.first_resolution > resolution:
            raise ValueError(
                "model.first_resolution: growing begins at or below data.resolution, "
                f"{resolution}. Received: {self.first_resolution}"
            )

    def rough_size(self, resolution: int, latent_dim: int) -> int:
        sizes = [4 << doubling for doubling in range(resolution.bit_length() - 2)]
        blocks = sum(2 * 9 * 2 * self.channels(size) ** 2 for size in sizes)  # two networks
        return blocks + 16 * self.channels(4) * (latent_dim + self.channels(2))


class ProgressiveGanConfig(GrowingConfig):
    """Progressive GAN (`models/backbones/progressive_gan.py`)."""

    backbone: Literal["progressive_gan"] = "progressive_gan"
