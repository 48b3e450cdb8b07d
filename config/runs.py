"""The runs of an experiment, each as a config of its own. See `resolve_run` and `resolve_runs`."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from config.backbones import change_backbone
from config.errors import UserError
from config.messages import explain
from config.sections import PAPER_RUNS, Config, RunConfig

_BACKBONE = "model.backbone"


def resolve_run(config: Config, name: str) -> Config:
    """The config of one run: `config` with the keys that the run sets.

    `name` is a run of the experiment or one of the paper's eight. The experiment's own section
    stays as it is. Raises UserError for an unknown run, and for a key or value that no config
    accepts.
    """
    run = find_run(config, name)
    where = f"experiment.runs.{name}.set"
    values = config.model_dump()
    for key in backbone_first(run.set):
        value = run.set[key]
        section, dot, _ = key.strip().partition(".")
        if section == "experiment":
            raise UserError(f"{where}: {key}: a run may change any key but experiment.*")
        if not dot:
            raise UserError(f"{where}: {key}: name one key of a section, such as latent.dim")
        set_key(values, key, value, where)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, Config)}") from error


def find_run(config: Config, name: str) -> RunConfig:
    """A run of the experiment or the paper's, by its name. Raises UserError for an unknown one."""
    known = PAPER_RUNS | config.experiment.runs
    if name not in known:
        raise UserError(f"unknown run: use one of {', '.join(known)}. Received: {name}")
    return known[name]


def resolve_runs(config: Config) -> dict[str, Config]:
    """The configs of all runs of an experiment, by name, in the order of the config file.

    Raises UserError as `resolve_run` does, and if two runs have one label or the same settings.
    """
    labels = Counter(run.label for run in config.experiment.runs.values())
    for label, count in labels.items():
        if count > 1:
            raise UserError(f"experiment.runs: {count} runs have the label {label!r}")
    resolved = {name: resolve_run(config, name) for name in config.experiment.runs}
    names: dict[str, str] = {}
    for name, run_config in resolved.items():
        other = names.setdefault(run_config.model_dump_json(exclude={"experiment"}), name)
        if other != name:
            raise UserError(f"experiment.runs: {name} equals {other}; each run needs a difference")
    return resolved


def group_runs(config: Config, **dump: Any) -> list[tuple[list[str], Config]]:
    """(names, config) for each group of runs that do not differ in a part of their configs.

    `dump` says which part, as `include` or `exclude` of pydantic's `model_dump_json`.
    """
    groups: dict[str, tuple[list[str], Config]] = {}
    for name, run_config in resolve_runs(config).items():
        names, _ = groups.setdefault(run_config.model_dump_json(**dump), ([], run_config))
        names.append(name)
    return list(groups.values())


def backbone_first(keys: Iterable[str]) -> list[str]:
    """Keys in the order in which to set them: another backbone drops the keys of the former one."""
    return sorted(keys, key=lambda key: key.partition("=")[0].strip() != _BACKBONE)


def set_key(values: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set `values["train"]["epochs"]` for the key train.epochs.

    Another backbone leaves only those keys of its section that it has itself, see
    `change_backbone`.
    Raises UserError, which begins with `where`, if a part before the last dot is no section.
    """
    *sections, name = key.strip().split(".")
    for depth, section in enumerate(sections, start=1):
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise UserError(f"{where}: {'.'.join(sections[:depth])} is no section")
    if key.strip() == _BACKBONE and isinstance(value, str):
        new = change_backbone(values, value)
        values.clear()
        values.update(new)
    else:
        values[name] = value
