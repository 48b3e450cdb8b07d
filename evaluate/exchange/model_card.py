"""The model card of an export. See `model_card`."""

from pathlib import Path
from typing import Any

import yaml

from evaluate.metrics.table import TABLE
from evaluate.report.results import results_in_markdown
from evaluate.trained_run import TrainedRun
from train.runs.experiment import MeasuredRun
from train.runs.folder import RunFolder
from train.runs.recorded import PACKAGES

_PRIORS = {"normal": "N(0, 1)", "uniform": "U(-sqrt 3, sqrt 3)"}
_SCALES = {True: "dynamic latent scale", False: "no latent scale (s = 1)"}
_OUTPUTS = {
    "squared_error": "adversarial values, latents",
    "gaussian": "adversarial values, latents, log variances of the latents' errors",
}
_CARD = Path(__file__).with_name("model_card.md")
SAMPLES = "samples.png"
_TASK = "unconditional-image-generation"


def model_card(trained: TrainedRun) -> str:
    """Markdown that says what the model is, from which data, how good, and with what limits.

    It begins with metadata for the Hugging Face Hub
    (https://github.com/huggingface/hub-docs/blob/main/modelcard.md).
    """
    config, recorded = trained.config, trained.record.recorded
    versions = [f"{name} {recorded[name]}" for name in PACKAGES if name in recorded]
    return _CARD.read_text(encoding="utf-8").format(
        metadata=_to_yaml(_metadata(trained)),
        samples=SAMPLES,
        name=f"{config.experiment.name}, {trained.name}, seed {trained.seed}",
        resolution=config.data.resolution,
        dim=config.latent.dim,
        prior=_PRIORS[config.latent.prior],
        scale=_SCALES[config.latent.dynamic_scale],
        losses=" and ".join(config.train.encoder_loss_in),
        outputs=_OUTPUTS[config.train.encoder_loss],
        checkpoint=trained.describe_checkpoint(),
        of_averages="of their averages, " if trained.raw else "",
        imported=_describe_import(recorded.get("imported", {})),
        source=config.data.source,
        results=_describe_results(trained),
        versions=", ".join(versions) or "unknown",
        commit=recorded.get("git_commit") or "unknown",
        config=_to_yaml(config.model_dump(), default_flow_style=None),
    )


def _to_yaml(value: dict[str, Any], **style: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, **style)


def _metadata(trained: TrainedRun) -> dict[str, Any]:
    """What the Hub reads. The licence is the publisher's to add.

    Raw weights have no metrics: those in the rows are of their averages.
    """
    metadata = {
        "library_name": "keras",
        "pipeline_tag": _TASK,
        "tags": ["gan", "gan-inversion", "dlsgan"],
    }
    source = trained.config.data.source
    for row in trained.folder.evaluated_rows():
        if row.get("step") == trained.step and not trained.raw:
            result = {
                "task": {"type": _TASK},
                "dataset": {"type": source.partition(":")[0], "name": source, "split": "test"},
                "metrics": _metrics(row),
            }
            name = f"{trained.config.experiment.name}_{trained.name}_{trained.seed}"
            metadata["model-index"] = [{"name": name, "results": [result]}]
    return metadata


def _metrics(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of a row in the Hub's terms; what features a metric compares is in its name."""
    metrics = []
    for name, metric in TABLE.items():
        if row.get(name) is not None and metric.protocol:
            features = f" ({row['protocol']['features']})" if metric.uses_features else ""
            metrics.append({"type": name, "value": row[name], "name": f"{metric.label}{features}"})
    return metrics


def _describe_import(files: dict[str, str]) -> str:
    """A paragraph about the authors' `files`, {network: file}; nothing if there are none."""
    if not files:
        return ""
    lines = "".join(f"- {part}: {file}\n" for part, file in files.items())
    return f"\nThe weights were not trained here. They were read from these files:\n\n{lines}"


class _UntilCheckpoint(RunFolder):
    """The folder of a trained run as it was at the checkpoint."""

    def __init__(self, trained: TrainedRun) -> None:
        super().__init__(trained.folder.path)
        self.step = trained.step

    def evaluated_rows(self) -> list[dict[str, Any]]:
        steps = range(self.step + 1)
        return [row for row in super().evaluated_rows() if row.get("step") in steps]


def _describe_results(trained: TrainedRun) -> str:
    folder, label = _UntilCheckpoint(trained), trained.record.label
    if not folder.evaluated_rows():
        return "Nothing was measured.\n"
    return results_in_markdown([MeasuredRun(trained.name, label, [folder], trained.config)])
