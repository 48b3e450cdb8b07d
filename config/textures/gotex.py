"""The settings of GOTEX. See `train.textures.gotex`."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from config.textures.base import FLOAT, TextureConfig
from config.values import Count, Rate


def _check_features(value: str) -> str:
    if value != "patches" and not (value.startswith("model:") and value.endswith(".keras")):
        raise ValueError("use patches or model:PATH.keras")
    return value


class GotexConfig(TextureConfig):
    form: Literal["image", "network"] = "image"
    features: Annotated[str, AfterValidator(_check_features)] = "patches"
    layers: list[str] = Field(default=[])
    patch_size: Annotated[int, Field(ge=2, le=16)] = 4
    scales: Annotated[int, Field(ge=1, le=8)] = 4
    target_patches: Count = 1000
    synthesis_patches: Count | None = 1000
    steps: Count = 300
    potential_steps: Count = 10
    learning_rate: Rate = 0.01
    levels: Annotated[int, Field(ge=1, le=8)] = 5

    @classmethod
    def preset(cls, given: dict[str, Any]) -> dict[str, Any]:
        is_network = given.get("form") == "network"
        scales, steps = (5, 5000) if is_network else (4, 500)
        every = {"target_patches": 2000, "synthesis_patches": None}
        return every | {"scales": scales, "steps": steps}

    @model_validator(mode="before")
    @classmethod
    def _steps_of_form(cls, values: Any) -> Any:
        """A network takes more steps, and each of its samples none."""
        is_network = isinstance(values, dict) and values.get("form") == "network"
        return {"steps": 800} | values if is_network else values

    @model_validator(mode="after")
    def _check_features_fit(self) -> "GotexConfig":
        if self.features != "patches" and self.form == "network":
            raise ValueError(
                f"features: with form network the features are patches. Received: {self.features}"
            )
        if (self.features != "patches") != bool(self.layers):
            raise ValueError(
                "layers: names layers of the model in features, and is empty for patches. "
                f"Received: {self.layers} with features {self.features}"
            )
        return self

    @property
    def of_samples(self) -> tuple[str, ...]:
        if self.form == "network":
            return ()
        return ("steps", "synthesis_patches", "potential_steps", "learning_rate")

    @property
    def smallest_side(self) -> int:
        side = self.patch_size
        for _ in range(self.scales - 1):
            side = 2 * side + 2  # the pyramid's filter of 4x4 pixels, at every second place
        return side

    @property
    def tile_multiple(self) -> int | None:
        if self.features != "patches":
            return None
        return 2**self.levels if self.form == "network" else 2 ** (self.scales - 1)

    def rough_bytes(self, pixels: int) -> int:
        if self.form == "network":
            return pixels * 16 * (self.levels + 1) * FLOAT
        return pixels * 20 * self.patch_size**2 * FLOAT  # vectors of all patches, and gradients
