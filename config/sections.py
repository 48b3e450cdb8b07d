"""The sections of a config file as frozen pydantic models. See `Config`."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, field_serializer, model_validator

from config.backbones import ModelConfig
from config.messages import quote
from config.methods import MethodKeys
from config.values import (
    FEATURES,
    STRICT,
    AverageDecay,
    Beta,
    Count,
    EncoderLossIn,
    Features,
    FolderName,
    ImageCount,
    Interval,
    Label,
    PositiveWeight,
    Rate,
    Replicates,
    Resolution,
    RunName,
    Seed,
    Seeds,
    Source,
    Switch,
    Weight,
    Width,
    check_unique,
)

_MOST_WEIGHTS = 10**9


class Section(BaseModel):
    model_config = STRICT


class RunConfig(Section):
    """One run of an experiment: what the figures call it, and the keys in which it differs.

    Without a label the figures call it by its name. Runs of one group share a colour there.
    """

    label: Label
    group: Label | None = None
    set: dict[str, Any] = {}


def _paper_run(prior: str, dynamic_scale: bool, networks: Sequence[str]) -> RunConfig:
    scale = "DLS" if dynamic_scale else "No DLS"
    return RunConfig(
        label=f"{scale}, {'DG' if 'generator' in networks else 'D'} ({prior})",
        set={
            "latent.prior": prior,
            "latent.dynamic_scale": dynamic_scale,
            "train.encoder_loss_in": list(networks),
        },
    )


# The paper's eight: {prior}_{dynamic latent scale or plain squared error}_{networks with L_enc}.
PAPER_RUNS = {
    f"{prior}_{scale}_{loss}": _paper_run(prior, scale == "dls", networks)
    for prior in ("normal", "uniform")
    for scale in ("dls", "mse")
    for loss, networks in (("dg", ["discriminator", "generator"]), ("d", ["discriminator"]))
}


def _complete_runs(runs: Any) -> Any:
    """Give the paper's names their `RunConfig`s, and other runs their names as default labels."""
    if isinstance(runs, list):
        for name in runs:
            if not isinstance(name, str) or name not in PAPER_RUNS:
                raise ValueError(
                    f"a list takes {', '.join(PAPER_RUNS)}; runs of your own are a mapping, "
                    f"name: {{label: ..., set: {{KEY: VALUE}}}}. {quote(name)} is neither"
                )
        check_unique(runs)
        runs = dict.fromkeys(runs)
    if not isinstance(runs, dict) or not runs:
        raise ValueError("takes one run or more, as a list of the paper's names or as a mapping")
    for name, run in runs.items():
        if name in PAPER_RUNS and run not in (None, {}, PAPER_RUNS[name]):
            raise ValueError(f"{name} is the paper's: leave it empty, or choose another name")
    named = {name: {} if run is None else run for name, run in runs.items()}
    labelled = {n: {"label": n} | run if isinstance(run, dict) else run for n, run in named.items()}
    return labelled | {name: PAPER_RUNS[name] for name in runs if name in PAPER_RUNS}


Runs = Annotated[dict[RunName, RunConfig], Field(min_length=1), BeforeValidator(_complete_runs)]


class ExperimentConfig(Section):
    name: FolderName
    seeds: Seeds = [0]
    runs: Runs = PAPER_RUNS

    @field_serializer("runs")
    def _shorten_runs(self, runs: dict[str, RunConfig]) -> list[str] | dict[str, Any]:
        """As a config file writes runs: the paper's by name alone."""
        if runs.keys() <= PAPER_RUNS.keys():
            return list(runs)
        own = {name: run.model_dump(exclude_defaults=True) for name, run in runs.items()}
        return own | {name: None for name in runs if name in PAPER_RUNS}


class DataConfig(Section):
    source: Source
    resolution: Resolution
    train_size: ImageCount | None = None
    test_size: ImageCount | None = None
    split: Annotated[float, Field(gt=0, lt=1)] | None = None
    split_seed: Seed = 0
    crop: Literal["none", "center"] = "none"
    antialias: bool = False
    flip: bool = False
    on_bad_image: Literal["error", "skip"] = "error"
    cache: Literal["none", "memory", "disk"] = "none"
    cache_folder: Annotated[str, Field(min_length=1)] = "results/data"


class LatentConfig(Section):
    dim: Width = 512
    prior: Literal["normal", "uniform"] = "normal"
    dynamic_scale: bool = True
    variance: Literal["window", "running"] = "window"
    variance_window: Count = 512
    variance_decay: Beta = 0.999


class TrainConfig(Section, MethodKeys):
    batch_size: Count = 16
    epochs: Count = 50
    learning_rate: Rate = 0.001
    mapper_learning_rate_multiplier: Rate = 0.01
    beta_1: Beta = 0.0
    beta_2: Beta = 0.99
    weight_decay: Beta = 0.0
    learning_rate_decay: Beta = 0.02
    adversarial_loss: Literal[
        "non_saturating", "minimax", "wasserstein", "least_squares", "hinge"
    ] = "non_saturating"
    r1_weight: Weight = 10.0
    r1_interval: Count = 1
    r2_weight: Weight = 0.0
    r2_interval: Count = 1
    wgan_gp_weight: Weight = 0.0
    wgan_gp_interval: Count = 1
    wgan_gp_target: Weight = 1.0
    drift_weight: Weight = 0.0
    path_length_weight: Weight = 0.0
    path_length_interval: Count = 4
    weight_clip: PositiveWeight | None = None
    discriminator_steps: Count = 1
    updates: Literal["simultaneous", "alternating"] = "simultaneous"
    loss_reduction: Literal["sum", "mean"] = "sum"
    average_decay: AverageDecay | None = None
    encoder_loss: Literal["squared_error", "gaussian"] = "squared_error"
    encoder_weight: Weight = 1.0
    encoder_loss_in: EncoderLossIn = ["discriminator", "generator"]
    checkpoint_every: Interval = "10 minutes"
    keep_checkpoints: Count = 2
    log_every: Count | None = 100
    deterministic: Switch = "auto"
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    jit_compile: Switch = "auto"
    distribution: Literal["auto", "none", "mirrored", "multi_worker", "tpu"] = "auto"
    connect_seconds: Count = 300

    @property
    def images_per_step(self) -> int:
        """Real images of one training step: a batch for each update of the discriminator."""
        return self.batch_size * self.discriminator_steps


class EvaluateConfig(Section):
    every: Count = 1
    batch_size: Count = 16
    features: Features
    bootstrap: Replicates = 0


class Config(Section):
    """An experiment; `config.runs.resolve_run` makes the config of one of its runs."""

    experiment: ExperimentConfig
    data: DataConfig
    latent: LatentConfig = LatentConfig()
    model: ModelConfig
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig

    @model_validator(mode="after")
    def _check_model(self) -> "Config":
        """Refuse networks that cannot be, and those that no machine could hold."""
        self.model.check(self.data.resolution, self.train.batch_size)
        weights = self.model.rough_size(self.data.resolution, self.latent.dim)
        weights += self.latent.variance_window * self.latent.dim
        if weights > _MOST_WEIGHTS:
            raise ValueError(
                f"model: these sizes make about {weights / 1e9:.3g} billion weights, the variance "
                f"window included; at most {_MOST_WEIGHTS / 1e9:g} billion are accepted"
            )
        return self

    @model_validator(mode="after")
    def _check_method(self) -> "Config":
        self.train.check_method(self.latent, self.model)
        return self

    @model_validator(mode="after")
    def _check_critic(self) -> "Config":
        """Refuse a critic whose slope nothing bounds, and a bound that means nothing."""
        train = self.train
        bounds = (train.r1_weight, train.r2_weight, train.wgan_gp_weight, train.weight_clip)
        if train.adversarial_loss == "wasserstein" and not any(bounds):
            raise ValueError(
                "train.adversarial_loss: wasserstein takes a bound on the critic's slope, without "
                "which its values grow without end: wgan_gp_weight, r1_weight or r2_weight above "
                "0, or weight_clip. Received: none of them"
            )
        if train.wgan_gp_weight and self.model.has_batch_norm:
            raise ValueError(
                "train.wgan_gp_weight: bounds the critic's slope at each image, which has none of "
                "its own with batch normalisation: use 0, or model.discriminator_batch_norm false. "
                f"Received: {train.wgan_gp_weight:g} with model.backbone {self.model.backbone}"
            )
        return self

    @model_validator(mode="after")
    def _check_path_length(self) -> "Config":
        if self.train.path_length_weight and not self.model.has_styles:
            raise ValueError(
                "train.path_length_weight: is about the styles of stylegan, stylegan2, stylegan3_t "
                f"or stylegan3_r. Received: {self.train.path_length_weight:g} with model.backbone "
                f"{self.model.backbone}"
            )
        return self

    @model_validator(mode="after")
    def _check_digits(self) -> "Config":
        if self.data.source == "digits":
            for key in ("split", "crop", "antialias", "cache"):
                value, default = getattr(self.data, key), DataConfig.model_fields[key].default
                if value != default:
                    raise ValueError(
                        f"data.{key}: is for image files, not digits. Received: {value}"
                    )
        elif self.evaluate.features == "digits":
            raise ValueError(
                "evaluate.features: digits describes digits only; for photos use another of "
                f"{FEATURES}. Received: data.source {self.data.source}"
            )
        return self
