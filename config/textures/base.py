"""What the settings of all texture methods have in common. See `TextureConfig`."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from config.values import STRICT

FLOAT = 4  # bytes


class TextureConfig(BaseModel):
    """What the settings of all methods have in common; `paper` are the authors' values."""

    model_config = STRICT
    paper: ClassVar[dict[str, Any]] = {}

    longest_side: Annotated[int, Field(ge=16, le=4096)] = 256  # a larger exemplar is shrunk

    @classmethod
    def preset(cls, _given: dict[str, Any]) -> dict[str, Any]:
        """The authors' values, which may depend on those that the user gives."""
        return cls.paper

    @property
    def of_samples(self) -> tuple[str, ...]:
        """The keys on which samples of a learned model depend, and so may still change."""
        return ()

    @property
    def smallest_side(self) -> int:
        """The shortest side, in pixels, of an exemplar and of a sample."""
        raise NotImplementedError

    @property
    def tile_multiple(self) -> int | None:
        """The sides of samples that repeat are multiples of this; None if there are none."""
        raise NotImplementedError

    def rough_bytes(self, pixels: int) -> int:
        """About how much memory a sample takes."""
        raise NotImplementedError
