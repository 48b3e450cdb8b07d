"""The settings of texture models, a section for each method. See `load_texture_config`."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from config.errors import UserError
from config.loading import override
from config.messages import explain
from config.values import STRICT, Count, PositiveWeight, Rate, Weight, Width

_FLOAT = 4  # bytes


def _check_features(value: str) -> str:
    if value != "patches" and not (value.startswith("model:") and value.endswith(".keras")):
        raise ValueError("use patches or model:PATH.keras")
    return value


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


class TextoConfig(TextureConfig):
    paper = {"steps": 100_000}

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
        return pixels * 30 * 2 * _FLOAT  # images, sums, counts and indices, in float64


class GotexConfig(TextureConfig):
    form: Literal["image", "network"] = "image"
    features: Annotated[str, AfterValidator(_check_features)] = "patches"
    layers: list[str] = []
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
            return pixels * 16 * (self.levels + 1) * _FLOAT
        return pixels * 20 * self.patch_size**2 * _FLOAT  # vectors of all patches, and gradients


class SpatialGanConfig(TextureConfig):
    """What Spatial GAN and Periodic Spatial GAN have in common; a step trains both networks."""

    paper = {"longest_side": 1024, "widths": [64, 128, 256, 512], "colour_weight": 0.0}

    widths: Annotated[list[Width], Field(min_length=1, max_length=7)] = [32, 64, 128]
    field: Annotated[int, Field(ge=2, le=64)] = 6  # the sides of the noise in training
    local_channels: Width = 20
    batch_size: Count = 8
    steps: Count = 2500
    learning_rate: Rate = 5e-4
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
        return pixels * (2 * self.widths[0] + 20) * _FLOAT


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


SECTIONS: dict[str, type[TextureConfig]] = {
    "texto": TextoConfig,
    "gotex": GotexConfig,
    "sgan": SganConfig,
    "psgan": PsganConfig,
}
COMPARED: dict[str, tuple[str, list[str]]] = {  # name: (method, what differs from its defaults)
    "texto": ("texto", []),
    "gotex": ("gotex", []),
    "gotex_network": ("gotex", ["form=network"]),
    "sgan": ("sgan", []),
    "psgan": ("psgan", []),
}


def load_texture_config(
    method: str, overrides: Sequence[str] = (), preset: str | None = None
) -> TextureConfig:
    """The settings of a method with `KEY=VALUE` overrides, over the authors' with preset "paper".

    Raises UserError for an unknown key, a wrong type or a value out of range.
    """
    given: dict[str, Any] = {}
    for text in overrides:
        override(given, text, example="steps=300")
    section = SECTIONS[method]
    values = (section.preset(given) if preset else {}) | given
    return validate_texture_config(method, values, "--set")


def load_compared(
    overrides: Sequence[str] = (), preset: str | None = None
) -> dict[str, tuple[str, TextureConfig]]:
    """{name: (method, settings)} of all that is compared; overrides are NAME.KEY=VALUE.

    Raises UserError as `load_texture_config` does, and for an override of something else.
    """
    given: dict[str, list[str]] = {name: [] for name in COMPARED}
    for text in overrides:
        name, _, rest = text.partition(".")
        if name not in COMPARED:
            raise UserError(
                f"--set takes NAME.KEY=VALUE with one of {', '.join(COMPARED)}. Received: {text}"
            )
        given[name].append(rest)
    return {
        name: (method, load_texture_config(method, [*own, *given[name]], preset))
        for name, (method, own) in COMPARED.items()
    }


def validate_texture_config(method: str, values: dict[str, Any], where: str) -> TextureConfig:
    """The settings of a method from a mapping. Raises UserError, which begins with `where`."""
    try:
        return SECTIONS[method].model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, SECTIONS[method])}") from error
