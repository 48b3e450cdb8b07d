"""The runs of an experiment that have metrics. See `read_runs` and `read_compared_runs`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from config import PAPER_RUNS, Config, UserError
from train.runs.folder import RunFolder, RunRecord


class MeasuredRun(NamedTuple):
    """A run with metrics: its folders, one a seed, and what tables and figures call it.

    `config` is None if no config.yaml can be read.
    """

    name: str
    label: str
    folders: list[RunFolder]
    config: Config | None

    @property
    def is_paper_run(self) -> bool:
        return self.name in PAPER_RUNS


def read_runs(experiment_folder: Path) -> list[MeasuredRun]:
    """The runs with metrics in the folder of an experiment, in the order of its config.

    Raises UserError if there is none.
    """
    runs = _find_runs(Path(experiment_folder))
    if not runs:
        raise UserError(f"{experiment_folder}: no run with metrics here (looked for */seed_*/)")
    return runs


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
    if (path / "config.yaml").exists():
        yield from _measured(path.name, [RunFolder(path)])
    elif any(path.glob("seed_*/config.yaml")):
        yield from _measured(path.name, [RunFolder(seed) for seed in sorted(path.glob("seed_*"))])
    else:
        yield from _find_runs(path)


def _find_runs(experiment_folder: Path) -> list[MeasuredRun]:
    folders = sorted(path for path in experiment_folder.glob("*/seed_*") if path.is_dir())
    by_name: dict[str, list[RunFolder]] = {}
    for path in folders:
        by_name.setdefault(path.parent.name, []).append(RunFolder(path))
    measured = [run for name, found in by_name.items() for run in _measured(name, found)]
    listed = [list(run.config.experiment.runs) for run in measured if run.config]
    order = max(listed, key=len, default=[]) + list(PAPER_RUNS)  # the config with most runs
    return sorted(measured, key=lambda run: [*order, run.name].index(run.name))


def _measured(name: str, folders: list[RunFolder]) -> Iterator[MeasuredRun]:
    """The run of these folders, one a seed, if one has metrics."""
    folders = [folder for folder in folders if folder.evaluated_rows()]
    if not folders:
        return
    record = _read_record(folders)
    if record:
        yield MeasuredRun(record.run, record.label, folders, record.config)
    else:
        yield MeasuredRun(
            name, PAPER_RUNS[name].label if name in PAPER_RUNS else name, folders, None
        )


def _read_record(folders: list[RunFolder]) -> RunRecord | None:
    """The first record that can be read."""
    for folder in folders:
        try:
            return folder.read()
        except UserError:
            continue
    return None


def _make_unique(runs: list[MeasuredRun]) -> list[MeasuredRun]:
    """The same runs with names and labels that occur once."""
    names = Counter(run.name for run in runs)
    labels = Counter(run.label for run in runs)
    for place in (_experiment_name, _seed_folder):
        named = [
            run._replace(
                name=f"{place(run)}/{run.name}" if names[run.name] > 1 else run.name,
                label=f"{run.label} ({place(run)})" if labels[run.label] > 1 else run.label,
            )
            for run in runs
        ]
        if len({run.name for run in named}) == len({run.label for run in named}) == len(runs):
            break
    return named


def _experiment_name(run: MeasuredRun) -> str:
    return run.config.experiment.name if run.config else _seed_folder(run)


def _seed_folder(run: MeasuredRun) -> str:
    return str(run.folders[0].path)
