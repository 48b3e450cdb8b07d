"""The networks that a config chooses, each kind with keys of its own. See `ModelConfig`."""

import json
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, get_args

from pydantic import BaseModel, BeforeValidator, Field

from config.values import STRICT, AverageDecay, Count, FirstResolution, Layers, Rate, Weight, Width

ChannelBase = Annotated[int, Field(ge=4, le=2**20)]


class Backbone(BaseModel):
    """The keys of one kind of networks, beside `backbone`, its name."""

    model_config = STRICT
    has_batch_norm: ClassVar[bool] = False  # in the discriminator
    has_styles: ClassVar[bool] = False  # one for each layer of the generator

    def check(self, resolution: int, batch_size: int) -> None:
        """Raise ValueError if the keys fit neither each other nor images and batches like these."""

    def check_length(self, resolution: int, images: int) -> None:
        """Raise ValueError if a training that sees so many real images, in all, is too short."""

    def rough_size(self, resolution: int, latent_dim: int) -> int:
        """About how many weights the networks have: enough to refuse what no machine could hold."""
        raise NotImplementedError


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


class StyledConfig(KarrasConfig):
    """What the StyleGANs have in common: a mapping network."""

    has_styles: ClassVar[bool] = True

    style_units: Width = 512
    mapping_layers: Layers = 8
    mapping_rate_multiplier: Rate = 0.01  # of the learning rate; it is inside the weights
    average_style_decay: AverageDecay = 0.995
    style_mixing_probability: Annotated[float, Field(ge=0, le=1)] = 0.0

    def ambiguities(self) -> dict[str, str]:
        ambiguities = super().ambiguities()
        if self.style_mixing_probability:
            ambiguities["style_mixing_probability"] = "an image is made of two latents"
        return ambiguities

    def rough_size(self, resolution: int, latent_dim: int) -> int:
        sizes = [4 << doubling for doubling in range(resolution.bit_length() - 2)]
        return (
            self.mapping_layers * self.style_units**2
            + 16 * self.channels(4) ** 2
            + sum(2 * 2 * 9 * self.channels(size) ** 2 for size in sizes)  # two networks
        )


class NoisyConfig(StyledConfig):
    """What StyleGAN and StyleGAN2 have in common: noise at each layer."""

    noise: Literal["none", "fixed", "random"] = "fixed"

    def ambiguities(self) -> dict[str, str]:
        ambiguities = super().ambiguities()
        if self.noise == "random":
            ambiguities["noise"] = "one latent makes many images"
        return ambiguities


class StyleGanConfig(GrowingConfig, NoisyConfig):
    """StyleGAN (`models/backbones/stylegan.py`)."""

    backbone: Literal["stylegan"] = "stylegan"
    first_resolution: FirstResolution = 8


class StyleGan2Config(NoisyConfig):
    """StyleGAN2 (`models/backbones/stylegan2.py`), configuration F; E has half the base."""

    backbone: Literal["stylegan2"] = "stylegan2"
    channel_base: ChannelBase = 32768


class StyleGan3Config(StyledConfig):
    """What both configurations of StyleGAN3 have in common (`models/backbones/stylegan3.py`)."""

    kernel_size: ClassVar[int]
    widening: ClassVar[int]  # of the generator's channels
    radial_filters: ClassVar[bool]

    channel_base: ChannelBase = 32768
    mapping_layers: Layers = 2
    average_style_decay: AverageDecay = 0.998
    magnitude_average_decay: AverageDecay = 0.999

    def check(self, resolution: int, batch_size: int) -> None:
        super().check(resolution, batch_size)
        if resolution < 16:
            raise ValueError(
                f"data.resolution: model.backbone {self.backbone} takes 16 or more, the rate of "
                f"its first signals. Received: {resolution}"
            )

    def rough_size(self, resolution: int, latent_dim: int) -> int:
        widest = self.widening * min(self.channel_base // 4, self.channel_max)
        return super().rough_size(resolution, latent_dim) + 15 * (self.kernel_size * widest) ** 2


class StyleGan3TConfig(StyleGan3Config):
    """StyleGAN3-T: translation equivariant."""

    backbone: Literal["stylegan3_t"] = "stylegan3_t"
    kernel_size: ClassVar[int] = 3
    widening: ClassVar[int] = 1
    radial_filters: ClassVar[bool] = False


class StyleGan3RConfig(StyleGan3Config):
    """StyleGAN3-R: rotation equivariant too."""

    backbone: Literal["stylegan3_r"] = "stylegan3_r"
    kernel_size: ClassVar[int] = 1
    widening: ClassVar[int] = 2
    radial_filters: ClassVar[bool] = True


_Backbones = (
    DlsganConfig
    | DlsganLaterConfig
    | DcganConfig
    | ProgressiveGanConfig
    | StyleGanConfig
    | StyleGan2Config
    | StyleGan3TConfig
    | StyleGan3RConfig
)
BACKBONES: dict[str, type[Backbone]] = {
    backbone.model_fields["backbone"].default: backbone for backbone in get_args(_Backbones)
}
_DEFAULT = "dlsgan"


def _complete(values: Any) -> Any:
    """Give a section without the key `backbone` the paper's."""
    return {"backbone": _DEFAULT} | values if isinstance(values, dict) else values


ModelConfig = Annotated[_Backbones, Field(discriminator="backbone"), BeforeValidator(_complete)]


def change_backbone(values: dict[str, Any], name: Any) -> dict[str, Any]:
    """A model section's values with another backbone, which begins with its own defaults.

    They stay as they are where both backbones have the same keys.
    """
    names = (values.get("backbone", _DEFAULT), name)
    before, after = (BACKBONES.get(n) if isinstance(n, str) else None for n in names)
    if before and after and before.model_fields.keys() != after.model_fields.keys():
        return {"backbone": name}
    return values | {"backbone": name}
