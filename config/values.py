"""What the sections of a config and their values accept. See `config.sections`."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

FEATURES = "digits, inception_v3, inception_v3:PATH.h5, model:PATH.keras or none"
SOURCES = "digits, folder:PATH, zip:PATH, celeba:PATH, tfrecord:GLOB or tfds:NAME"
MOST_SEEDS = 1000
STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)  # of every section
FIGURES_FOLDER = "figures"  # of an experiment, beside the folders of its runs
_TAKEN_NAMES = (FIGURES_FOLDER, "report.html", "check_data.json")  # in an experiment's folder


def check_unique(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError("each value may appear once")
    return values


def _check_power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError("use a power of two from 8 to 1024")
    return value


def _check_growing_size(value: int) -> int:
    if value & (value - 1):
        raise ValueError("use a power of two from 4 to 1024")
    return value


def _check_source(value: str) -> str:
    if value != "digits" and not re.fullmatch(r"(folder|zip|celeba|tfrecord|tfds):.+", value):
        raise ValueError(f"use {SOURCES}")
    return value


def _check_features(value: str) -> str:
    if value not in ("digits", "inception_v3", "none") and not re.fullmatch(
        r"inception_v3:.+\.h5|model:.+\.keras", value
    ):
        raise ValueError(f"use {FEATURES}")
    return value


def _check_replicates(value: int) -> int:
    if value == 1:
        raise ValueError("use 0 for no intervals, or 2 and more")
    return value


def _check_encoder_loss_in(networks: list[str]) -> list[str]:
    if "discriminator" not in networks:
        raise ValueError("use [discriminator] or [discriminator, generator]")
    return sorted(networks)


def _check_label(label: str) -> str:
    if not label.isprintable() or not label.strip() or label.startswith("_"):
        raise ValueError("a label is one line of text that does not begin with an underscore")
    return label


def _check_folder_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError("use letters, digits, '.', '_' and '-'; a letter or digit comes first")
    return name


def _check_run_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", name) or name in _TAKEN_NAMES:
        raise ValueError(
            "a run is named as its folder: letters, digits, '.', '_' and '-', up to 60, "
            f"and not {', '.join(_TAKEN_NAMES)}"
        )
    return name


def _check_interval(value: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,8} (steps|minutes)", value):
        raise ValueError("use a number of steps or minutes, such as 500 steps or 10 minutes")
    return value


def _check_switch(value: Any) -> Any:
    if value != "auto" and not isinstance(value, bool):
        raise ValueError("use true, false or auto")
    return value


Count = Annotated[int, Field(ge=1, le=10**6)]
ImageCount = Annotated[int, Field(ge=1, le=10**9)]
Width = Annotated[int, Field(ge=1, le=2**14)]
Layers = Annotated[int, Field(ge=1, le=64)]
Resolution = Annotated[int, Field(ge=8, le=1024), AfterValidator(_check_power_of_two)]
FirstResolution = Annotated[int, Field(ge=4, le=1024), AfterValidator(_check_growing_size)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Seeds = Annotated[
    list[Seed], Field(min_length=1, max_length=MOST_SEEDS), AfterValidator(check_unique)
]
Source = Annotated[str, AfterValidator(_check_source)]
Features = Annotated[str, AfterValidator(_check_features)]
FolderName = Annotated[str, AfterValidator(_check_folder_name)]
RunName = Annotated[str, AfterValidator(_check_run_name)]
Label = Annotated[str, Field(max_length=60), AfterValidator(_check_label)]
Replicates = Annotated[int, Field(ge=0, le=10**5), AfterValidator(_check_replicates)]
Interval = Annotated[str, AfterValidator(_check_interval)]
Switch = Annotated[Literal["auto"] | bool, BeforeValidator(_check_switch)]
Rate = Annotated[float, Field(gt=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
AverageDecay = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveWeight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
EncoderLossIn = Annotated[
    list[Literal["discriminator", "generator"]],
    AfterValidator(check_unique),
    AfterValidator(_check_encoder_loss_in),
]
