"""The settings of SinGAN. See `train.textures.singan`."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from config.textures.base import FLOAT, TextureConfig
from config.values import Count, Rate, Weight, Width

_SCALES_OF_A_WIDTH = 4


class SinganConfig(TextureConfig):
    paper: ClassVar[dict[str, Any]] = {
        "longest_side": 250,
        "largest_width": 128,
        "steps": 2000,
        "learning_rate": 5e-4,
    }

    coarsest_side: Annotated[int, Field(ge=11, le=250)] = 25  # the shorter one; D takes 11
    factor: Annotated[float, Field(ge=0.4, le=0.95)] = 0.75  # about, from a scale to the next
    width: Width = 32  # of the coarsest scales; twice as wide after each four
    largest_width: Width = 32
    steps: Count = 120  # of each scale
    discriminator_steps: Annotated[int, Field(ge=1, le=100)] = 3  # in a step
    generator_steps: Annotated[int, Field(ge=1, le=100)] = 3
    learning_rate: Rate = 2e-3  # a tenth after 80 % of a scale's steps
    reconstruction_weight: Weight = 10.0
    penalty_weight: Weight = 0.1
    noise_amplitude: Weight = 0.1  # of the error of the reconstruction by coarser scales
    fixed_noise: bool = True  # the noise of the reconstruction; the authors' code redraws it
    start_scale: Annotated[int, Field(ge=0, le=100)] = 0  # coarser ones keep the exemplar's layout

    def width_of(self, scale: int) -> int:
        """The channels of the networks of a scale, from 0, the coarsest."""
        return min(self.width * 2 ** (scale // _SCALES_OF_A_WIDTH), self.largest_width)

    @property
    def of_samples(self) -> tuple[str, ...]:
        return ("start_scale",)

    @property
    def smallest_side(self) -> int:
        return self.coarsest_side

    @property
    def tile_multiple(self) -> int | None:
        return None if self.start_scale else 1

    def rough_bytes(self, pixels: int) -> int:
        return pixels * (2 * self.largest_width + 76) * FLOAT  # 76: images, resized in float64
