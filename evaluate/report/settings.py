"""What was run: settings, where they differ, how it was measured. See `describe_settings`."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from config import UserError
from train.runs.changes import flatten
from train.runs.experiment import MeasuredRun
from train.runs.folder import RunFolder

_FACTS = {
    "data.source": "data source",
    "data.resolution": "resolution",
    "latent.dim": "latent elements",
    "train.epochs": "epochs",
    "train.batch_size": "batch size",
}
_NO_FACTS = ("images", "changes")  # parts of what is recorded
_NAMES = ("run", "seed")  # other parts, which the page shows elsewhere
_NO_SETTINGS = "experiment."
_IS_ABSENT = "-"


class Settings(NamedTuple):
    """Texts by their labels. Where trainings differ, a text has each value and how many have it.

    `facts` are the main ones, `recorded` what the trainings were begun with, `protocol` how their
    last epochs were measured. `keys` are those in which runs differ; `differences` has a row for
    each run with its name and their values.
    """

    facts: dict[str, str]
    settings: dict[str, str]
    recorded: dict[str, str]
    protocol: dict[str, str]
    keys: list[str]
    differences: list[list[str]]


def describe_settings(runs: Sequence[MeasuredRun]) -> Settings:
    """All of it; a run without a config.yaml has no settings."""
    seeds = [(run, seed) for run in runs for seed in run.folders]
    configs, records = zip(*(_read(seed) for _, seed in seeds), strict=True)
    settings = _merge(configs)
    settings_of_runs = {
        run.name: config for (run, _), config in reversed([*zip(seeds, configs, strict=True)])
    }
    keys = [key for key in settings if _differ(key, settings_of_runs.values())]
    return Settings(
        {"trained": _count_trainings(seeds)}
        | {label: settings[key] for key, label in _FACTS.items() if key in settings}
        | _merge([_begun(record) for record in records]),
        settings,
        _merge([flatten(record) for record in records]),
        _merge([seed.evaluated_rows()[-1].get("protocol", {}) for _, seed in seeds]),
        keys,
        [
            [run.name, *(_text(settings_of_runs[run.name].get(key, _IS_ABSENT)) for key in keys)]
            for run in runs
        ],
    )


def _read(folder: RunFolder) -> tuple[dict[str, Any], dict[str, Any]]:
    """(settings by key, record) of a training; neither if its config.yaml cannot be read."""
    try:
        record = folder.read()
    except UserError:
        return {}, {}
    settings = flatten(record.config.model_dump())
    settings = {key: v for key, v in settings.items() if not key.startswith(_NO_SETTINGS)}
    return settings, {key: v for key, v in record.recorded.items() if key not in _NAMES}


def _begun(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace("_", " "): v for key, v in record.items() if key not in _NO_FACTS}


def _count_trainings(seeds: Sequence[tuple[MeasuredRun, RunFolder]]) -> str:
    numbers = sorted({seed.seed for _, seed in seeds}, key=lambda seed: (len(seed), seed))
    runs = _count(len({run.name for run, _ in seeds}), "run")
    plural = "s" if len(numbers) > 1 else ""
    return f"{_count(len(seeds), 'training')} of {runs} (seed{plural} {', '.join(numbers)})"


def _merge(parts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """{label: text} of all trainings; where they differ, each value and how many have it."""
    merged = {}
    for label in dict.fromkeys(label for part in parts for label in part):
        values = Counter(_text(part[label]) for part in parts if label in part)
        merged[label] = (
            ", ".join(f"{value} ({_count(n, 'training')})" for value, n in values.items())
            if len(values) > 1
            else next(iter(values))
        )
    return merged


def _differ(key: str, settings: Iterable[Mapping[str, Any]]) -> bool:
    return len({_text(of_run[key]) for of_run in settings if key in of_run}) > 1


def _text(value: Any) -> str:
    """The value as a config file writes it, roughly."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number > 1 else "")
