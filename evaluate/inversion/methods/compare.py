"""All methods of inversion on all runs of an experiment. See `compare_inversions`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from config import UserError, in_one_line
from evaluate.inversion.methods.choices import Choice
from evaluate.inversion.methods.measure import Measured, list_choices, measure
from evaluate.sheets import alternate, label_rows, tile
from evaluate.trained_run import TrainedRun
from train.runs.experiment import list_folders
from train.runs.folder import RunFolder


def compare_inversions(
    experiment: Path, steps: int | None, count: int, on_progress: Callable[[int, int], None]
) -> tuple[list[Measured], list[str]]:
    """(each method on each run, problems): a line about each run that is left out.

    Runs are in the order of the experiment's config. `on_progress(done, total)` counts steps.
    Raises UserError if no run remains.
    """
    planned, problems = _plan(experiment, steps)
    progress = _Progress(on_progress, sum(c.steps for _, choices in planned for c in choices))
    found: list[Measured] = []
    for folder, choices in planned:
        try:
            trained = TrainedRun(folder.path)
            found += list(measure(trained, choices, count, progress.begin))  # all or nothing
        except UserError as error:
            problems.append(in_one_line(error))
    if not found:
        raise UserError(f"{experiment}: no run can be inverted: {'; '.join(problems)}")
    return found, problems


def _plan(
    experiment: Path, steps: int | None
) -> tuple[list[tuple[RunFolder, list[Choice]]], list[str]]:
    """([(folder of a run and a seed, its methods)], problems), in the order of the config."""
    planned, problems, listed = [], [], []
    for folder in list_folders(experiment):
        try:
            record = folder.read()
        except UserError as error:
            problems.append(in_one_line(error))
            continue
        planned.append((record.run, folder, list_choices(record.config, steps)))
        listed = max(listed, list(record.config.experiment.runs), key=len)
    planned.sort(key=lambda plan: [*listed, plan[0]].index(plan[0]))
    return [(folder, choices) for _, folder, choices in planned], problems


class _Progress:
    """How much of `total` work is done, piece by piece."""

    def __init__(self, on_progress: Callable[[int, int], None], total: int) -> None:
        self.on_progress, self.total, self.before = on_progress, total, 0

    def begin(self, work: int) -> Callable[[int, int], None]:
        """Begin a piece: returns a function of how much is done of it, and of how much."""
        before = self.before
        self.before += work
        return lambda done, of: self.on_progress(before + work * done // of, self.total)


def draw_sheet(measured: Sequence[Measured]) -> np.ndarray:
    """A row for each of some test images of each run: the image, and each method's reconstruction.

    The run's first seed is shown. Methods that a run has not are left white. All
    images have the size of the largest.
    """
    methods = dict.fromkeys((m.row["method"], m.row["space"]) for m in measured)
    seeds: dict[str, int] = {}
    by_run: dict[str, dict[tuple[str, str], Measured]] = {}
    for m in measured:
        if seeds.setdefault(m.row["run"], m.row["seed"]) == m.row["seed"]:
            of_run = by_run.setdefault(m.row["run"], {})
            of_run[m.row["method"], m.row["space"]] = m
    rows, labels = [], []
    size = max(m.images.shape[1] for m in measured)
    for run, of_run in by_run.items():
        images = next(iter(of_run.values())).images
        blank = np.ones_like(images)
        columns = [of_run[each].reconstructed if each in of_run else blank for each in methods]
        row = alternate(images, *columns)
        factor = size // row.shape[1]  # resolutions are powers of two
        rows.append(row.repeat(factor, axis=1).repeat(factor, axis=2))
        labels += [f"{run}\nseed {seeds[run]}"] * len(images)
    return label_rows(tile(np.concatenate(rows), columns=1 + len(methods)), labels)
