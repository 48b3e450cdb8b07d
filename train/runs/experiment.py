"""The runs of an experiment that have metrics. See `read_runs` and `read_compared_runs`."""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from config import PAPER_RUNS, Config, UserError
from train.runs.absence import explain_no_experiment
from train.runs.folder import RunFolder


class MeasuredRun(NamedTuple):
    """A run with metrics: its folders, one a seed, and what tables and figures call it.

    `config` is None if there is no config.yaml.
    """

    name: str
    label: str
    folders: list[RunFolder]
    config: Config | None

    @property
    def is_paper_run(self) -> bool:
        return self.name in PAPER_RUNS


def read_runs(experiment_folder: Path, config: Config | None = None) -> list[MeasuredRun]:
    """The runs with metrics in the folder of an experiment, in the order of its config.

    The labels and the order are those of `config`, or else of the runs' own configs. A folder that
    is not named as the run in it is left out, with a warning. Raises UserError if there is none.
    """
    runs = _find_runs(Path(experiment_folder))
    if not runs:
        raise UserError(f"{experiment_folder}: {explain_no_experiment(experiment_folder)}")
    if config is None:
        return runs
    listed = config.experiment.runs
    runs = [r._replace(label=listed[r.name].label) if r.name in listed else r for r in runs]
    return _sorted(runs, list(listed))


def read_compared_runs(paths: Sequence[Path]) -> list[MeasuredRun]:
    """The runs of several folders: experiments, runs with all their seeds, or single seeds.

    The experiment's name goes before a name, and after a label, that occurs twice. Raises UserError
    for a folder without metrics, for one that is named twice, and for fewer than two runs.
    """
    runs, seen = [], {}
    for path in paths:
        found = list(_find_compared(path))
        if not found:
            raise UserError(f"{path}: no run with metrics here")
        for run in found:
            for folder in run.folders:
                place = folder.path.resolve()
                if place in seen:
                    raise UserError(f"{folder.path} is named twice, by {seen[place]} and {path}")
                seen[place] = path
        runs += found
    if len(runs) < 2:
        raise UserError(f"compare takes two runs or more. Received: {len(runs)}")
    return _make_unique(runs)


def _find_compared(path: Path) -> Iterator[MeasuredRun]:
    if not path.is_dir():
        raise UserError(f"{path}: no such folder")
    if (path / "config.yaml").exists() or (path / "metrics.jsonl").exists():
        name = path.resolve().parent.name if path.name.startswith("seed_") else path.name
        yield from _measured(name, [RunFolder(path)])
    elif any(path.glob("seed_*")):
        yield from _measured(path.name, [*map(RunFolder, _seeds_in_order(path.glob("seed_*")))])
    else:
        yield from _find_runs(path)


def _find_runs(experiment_folder: Path) -> list[MeasuredRun]:
    by_name: dict[str, list[RunFolder]] = {}
    for folder in list_folders(experiment_folder):
        by_name.setdefault(folder.path.parent.name, []).append(folder)
    measured = []
    for name, seeds in by_name.items():
        for run in _measured(name, seeds):
            if run.name == name:
                measured.append(run)
            else:
                warnings.warn(f"{seeds[0].path.parent} holds {run.name}; left out", stacklevel=2)
    listed = [list(run.config.experiment.runs) for run in measured if run.config]
    return _sorted(measured, max(listed, key=len, default=[]))  # the config with most runs


def list_folders(experiment_folder: Path) -> list[RunFolder]:
    """The folders of all runs and seeds of an experiment, whatever is in them."""
    paths = (path for path in experiment_folder.glob("*/seed_*") if path.is_dir())
    return [*map(RunFolder, _seeds_in_order(paths))]


def _seeds_in_order(paths: Iterable[Path]) -> list[Path]:
    """Folders by their parents and by the numbers of their seeds: seed_9 before seed_10."""
    return sorted(paths, key=lambda path: (path.parent, len(path.name), path.name))


def _sorted(runs: list[MeasuredRun], order: list[str]) -> list[MeasuredRun]:
    order = [*order, *PAPER_RUNS]
    return sorted(runs, key=lambda run: [*order, run.name].index(run.name))


def _measured(name: str, folders: list[RunFolder]) -> Iterator[MeasuredRun]:
    """The run of these folders, one a seed, if one has metrics. Raises UserError for damage."""
    folders = [folder for folder in folders if folder.evaluated_rows()]
    if not folders:
        return
    records = [folder.read() for folder in folders if folder.config_path.exists()]
    if records:
        record = records[0]
        yield MeasuredRun(record.run, record.label, folders, record.config)
    else:
        label = PAPER_RUNS[name].label if name in PAPER_RUNS else name
        yield MeasuredRun(name, label, folders, None)


def _make_unique(runs: list[MeasuredRun]) -> list[MeasuredRun]:
    """The same runs with names and labels that occur once.

    The experiment's name tells two apart, or as much of the path of its folder as differs, or else
    the seed.
    """
    names = Counter(run.name for run in runs)
    labels = Counter(run.label for run in runs)
    named = runs
    for places in _places(runs):
        named = [
            run._replace(
                name=f"{place}/{run.name}" if names[run.name] > 1 else run.name,
                label=f"{run.label} ({place})" if labels[run.label] > 1 else run.label,
            )
            for run, place in zip(runs, places, strict=True)
        ]
        if len({run.name for run in named}) == len({run.label for run in named}) == len(runs):
            break
    return named


def _places(runs: list[MeasuredRun]) -> Iterator[list[str]]:
    """Texts that tell runs apart, from the shortest to the longest."""
    folders = [run.folders[0].path.resolve() for run in runs]
    around = [f.parents[1] if f.name.startswith("seed_") else f.parent for f in folders]
    if all(run.config for run in runs):
        yield [run.config.experiment.name for run in runs]
    for depth in range(1, max(len(path.parts) for path in around)):
        yield ["/".join(path.parts[1:][-depth:]) for path in around]
    yield [f"{path.name}/{f.name}" for path, f in zip(around, folders, strict=True)]
    yield [str(folder) for folder in folders]
