"""The settings of Spatial GAN and Periodic Spatial GAN. See `train.textures.psgan`."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from config.textures.base import FLOAT, TextureConfig
from config.values import Count, Rate, Weight, Width


class SpatialGanConfig(TextureConfig):
    """What Spatial GAN and Periodic Spatial GAN have in common; a step trains both networks."""

    paper: ClassVar[dict[str, Any]] = {
        "longest_side": 1024,
        "widths": [64, 128, 256, 512],
        "falls_after": 1.0,
        "colour_weight": 0.0,
    }

    widths: list[Width] = Field(default=[32, 64, 128], min_length=1, max_length=7)
    field: Annotated[int, Field(ge=2, le=64)] = 6  # the sides of the noise in training
    local_channels: Width = 20
    batch_size: Count = 8
    steps: Count = 2500
    learning_rate: Rate = 5e-4
    falls_after: Annotated[float, Field(ge=0, le=1)] = 0.3  # of the steps; then linearly to 2 %
    weight_decay: Weight = 1e-8
    colour_weight: Weight = 10.0  # of the channels' means and deviations; the authors have none

    @property
    def scale(self) -> int:
        """The pixels from one position of the noise to the next."""
        return 2 ** (len(self.widths) + 1)

    @property
    def smallest_side(self) -> int:
        return (self.field - 1) * self.scale + 1

    @property
    def tile_multiple(self) -> int:
        return self.scale

    def rough_bytes(self, pixels: int) -> int:
        return pixels * (2 * self.widths[0] + 20) * FLOAT


class SganConfig(SpatialGanConfig):
    paper = SpatialGanConfig.paper | {"field": 9, "local_channels": 100, "batch_size": 64}
    paper |= {"steps": 5000, "learning_rate": 5e-4, "weight_decay": 1e-5}

    global_channels: ClassVar[int] = 0
    waves: ClassVar[int] = 0
    affine: ClassVar[bool] = False
    learn_wave_numbers: ClassVar[bool] = False
    quilt: ClassVar[int] = 0


class PsganConfig(SpatialGanConfig):
    paper = SpatialGanConfig.paper | {"local_channels": 30, "global_channels": 60}
    paper |= {"batch_size": 25, "steps": 50_000, "learning_rate": 2e-4}

    global_channels: Annotated[int, Field(ge=0, le=2**14)] = 0  # one texture needs none
    waves: Annotated[int, Field(ge=0, le=100)] = 3  # in each of two directions
    affine: bool = False  # waves in any direction, not along columns and rows alone
    learn_wave_numbers: bool = True  # the published code leaves them as they begin
    quilt: Annotated[int, Field(ge=0, le=2**14)] = 0  # sides of squares with their own globals

    @property
    def of_samples(self) -> tuple[str, ...]:
        return ("quilt",)
