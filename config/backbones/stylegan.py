"""The keys of StyleGAN, StyleGAN2 and StyleGAN3. See `StyledConfig`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from config.backbones.karras import ChannelBase, GrowingConfig, KarrasConfig
from config.values import AverageDecay, FirstResolution, Layers, Rate, Width


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
