"""The settings of an experiment: a YAML file, checked strictly, as frozen pydantic models.

`load` reads one; `configs/` holds commented examples. Anything wrong raises `UserError` with one
line that names the file, the key, what is accepted and what was received.
"""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

RUN_NAMES = tuple(
    f"{prior}_{encoder}_{loss}"
    for prior in ("normal", "uniform")
    for encoder in ("dls", "mse")
    for loss in ("dg", "d")
)
FEATURES = "digits, inception_v3, inception_v3:PATH.h5, model:PATH.keras or none"
SOURCES = "digits, folder:PATH, zip:PATH, celeba:PATH, tfrecord:GLOB or tfds:NAME"


class UserError(Exception):
    """Something the user gave is wrong: the message is one line, and the exit code is 2."""


class Run(NamedTuple):
    """One training of the experiment; its name is {normal|uniform}_{dls|mse}_{d|dg}."""

    prior: str
    dynamic_scale: bool  # "DLS" in the paper's figures; otherwise s = 1, plain mean squared error
    encoder_loss_in_generator: bool  # "DG" in the paper's figures, otherwise "D"

    @classmethod
    def parse(cls, name):
        """Raises UserError for an unknown name."""
        if name not in RUN_NAMES:
            raise UserError(f"unknown run: use one of {', '.join(RUN_NAMES)}. Received: {name}")
        prior, encoder, loss = name.split("_")
        return cls(prior, encoder == "dls", loss == "dg")


def _check_run_name(name):
    if name not in RUN_NAMES:
        raise ValueError(f"use {', '.join(RUN_NAMES)}")
    return name


def _check_unique(values):
    if len(set(values)) != len(values):
        raise ValueError("each value may appear once")
    return values


def _check_power_of_two(value):
    if value & (value - 1):
        raise ValueError("use a power of two from 8 to 1024")
    return value


def _check_source(value):
    if value != "digits" and not re.fullmatch(r"(folder|zip|celeba|tfrecord|tfds):.+", value):
        raise ValueError(f"use {SOURCES}")
    return value


def _check_features(value):
    if value not in ("digits", "inception_v3", "none") and not re.fullmatch(
        r"inception_v3:.+\.h5|model:.+\.keras", value
    ):
        raise ValueError(f"use {FEATURES}")
    return value


def _check_replicates(value):
    if value == 1:
        raise ValueError("use 0 for no intervals, or 2 and more")
    return value


Count = Annotated[int, Field(ge=1)]
Resolution = Annotated[int, Field(ge=8, le=1024), AfterValidator(_check_power_of_two)]
RunName = Annotated[str, AfterValidator(_check_run_name)]
Runs = Annotated[list[RunName], Field(min_length=1), AfterValidator(_check_unique)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(_check_unique)]
Source = Annotated[str, AfterValidator(_check_source)]
Features = Annotated[str, AfterValidator(_check_features)]
FolderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Replicates = Annotated[int, Field(ge=0), AfterValidator(_check_replicates)]
Rate = Annotated[float, Field(gt=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ExperimentConfig(Section):
    name: FolderName
    seeds: Seeds = [0]
    runs: Runs = list(RUN_NAMES)


class DataConfig(Section):
    source: Source
    resolution: Resolution
    train_size: Count | None = None
    test_size: Count | None = None
    split: Annotated[float, Field(gt=0, lt=1)] | None = None
    split_seed: Seed = 0
    crop: Literal["none", "center"] = "none"
    antialias: bool = False
    flip: bool = False
    on_bad_image: Literal["error", "skip"] = "error"
    cache: Literal["none", "memory", "disk"] = "none"
    cache_folder: str = "results/data"


class LatentConfig(Section):
    dim: Count = 512
    variance_window: Count = 512


class ModelConfig(Section):
    style_units: Count = 512
    mapper_layers: Count = 8
    gain: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    base_channels: Count = 512
    synthesis_channels: list[Count]
    discriminator_channels: list[Count]


class TrainConfig(Section):
    batch_size: Count = 16
    epochs: Count = 50
    learning_rate: Rate = 0.001
    mapper_learning_rate_multiplier: Rate = 0.01
    beta_1: Beta = 0.0
    beta_2: Beta = 0.99
    learning_rate_decay: Beta = 0.02
    r1_weight: Weight = 10.0
    r1_interval: Count = 1
    encoder_weight: Weight = 1.0
    checkpoint_every: Annotated[str, Field(pattern=r"^[1-9][0-9]* (steps|minutes)$")] = "10 minutes"
    keep_checkpoints: Count = 2
    deterministic: Literal["auto"] | bool = "auto"
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    jit_compile: Literal["auto"] | bool = "auto"
    distribution: Literal["auto", "none", "mirrored", "multi_worker", "tpu"] = "auto"
    connect_seconds: Count = 300


class EvaluateConfig(Section):
    every: Count = 1
    batch_size: Count = 16
    features: Features
    bootstrap: Replicates = 0


class Config(Section):
    experiment: ExperimentConfig
    data: DataConfig
    latent: LatentConfig = LatentConfig()
    model: ModelConfig
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig

    @model_validator(mode="after")
    def _check_together(self):
        blocks = self.data.resolution.bit_length() - 3  # 8x8 ... resolution
        for key in ("synthesis_channels", "discriminator_channels"):
            channels = getattr(self.model, key)
            if len(channels) != blocks:
                raise ValueError(
                    f"model.{key}: resolution {self.data.resolution} takes {blocks} values, "
                    f"one a size from 8 to {self.data.resolution}. Received: {channels}"
                )
        if self.data.source == "digits":
            for key in ("split", "crop", "antialias", "cache"):
                value, default = getattr(self.data, key), DataConfig.model_fields[key].default
                if value != default:
                    raise ValueError(
                        f"data.{key}: is for image files, not digits. Received: {value}"
                    )
        if self.evaluate.features == "digits" and self.data.source != "digits":
            raise ValueError(
                "evaluate.features: digits describes digits only; for photos use another of "
                f"{FEATURES}. Received: data.source {self.data.source}"
            )
        return self


class _Loader(yaml.SafeLoader):
    """YAML 1.1 takes 1e-3 for a string; this takes it for the number that was meant."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    "-+0123456789",
)


def load(path, overrides=()):
    """Read a config file and apply `KEY=VALUE` overrides such as `train.epochs=3`.

    Raises UserError for a missing or malformed file, an unknown key, a wrong type, a value out of
    range or values that do not fit together.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read the config file: {reason(error)}") from error
    values = _parse_yaml(text, where=path)
    if not isinstance(values, dict):
        raise UserError(f"{path}: a config file has sections such as data: and train:")
    for override in overrides:
        _override(values, override)
    return validate(values, path)


def validate(values, where):
    """A `Config` of nested dicts. Raises UserError, which says `where`, for anything wrong."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: {_explain(error)}") from error


def reason(error):
    """What the operating system said, without the number and the path."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def in_one_line(error):
    """A UserError or OSError for the user."""
    where = getattr(error, "filename", None)
    return f"{where}: {reason(error)}" if where else str(error)


def _parse_yaml(text, where):
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, AttributeError) as error:  # PyYAML raises all three
        line = f" line {error.problem_mark.line + 1}:" if hasattr(error, "problem_mark") else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise UserError(f"{where}:{line} not valid YAML: {problem}") from error


def _override(values, override):
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set takes KEY=VALUE, such as train.epochs=3. Received: {override}")
    *sections, name = key.strip().split(".")
    for depth, section in enumerate(sections, start=1):
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise UserError(f"--set {override}: {'.'.join(sections[:depth])} is no section")
    values[name] = _parse_yaml(text, where=f"--set {override}")


def _explain(error):
    """The first of pydantic's complaints as one line: key, what is accepted, what was received."""
    first, *others = error.errors()
    key = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "extra_forbidden":
        message = f"unknown key{_suggest(first['loc'])}"
    elif first["type"] == "missing":
        message = "this key is needed"
    elif key:
        message = f"{message}. Received: {first['input']!r}"
    count = f" (and {len(others)} more)" if others else ""
    return (f"{key}: " if key else "") + message + count


def _suggest(location):
    model: Any = Config
    for part in location[:-1]:
        model = model.model_fields[part].annotation
    close = difflib.get_close_matches(str(location[-1]), model.model_fields, n=1)
    known = ", ".join(model.model_fields)
    return f"; did you mean {close[0]}?" if close else f"; known here: {known}"
