"""The settings of Texto. See `train.textures.texto`."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from config.textures.base import FLOAT, TextureConfig
from config.values import Count, PositiveWeight


class TextoConfig(TextureConfig):
    paper: ClassVar[dict[str, Any]] = {"steps": 100_000}

    patch_size: Annotated[int, Field(ge=2, le=16)] = 3
    scales: Annotated[int, Field(ge=1, le=8)] = 4
    components: Annotated[int, Field(ge=1, le=100)] = 4
    patches: Count = 1000
    steps: Count = 20_000
    step_size: PositiveWeight = 1.0

    @property
    def smallest_side(self) -> int:
        return (self.patch_size - 1) * 2 ** (self.scales - 1) + 1

    @property
    def tile_multiple(self) -> int:
        return 2 ** (self.scales - 1)

    def rough_bytes(self, pixels: int) -> int:
        return pixels * 30 * 2 * FLOAT  # images, sums, counts and indices, in float64
