"""Everything that tells about runs: figures, tables and the page. See `write_outputs`."""

from collections.abc import Sequence
from pathlib import Path

from config.values import FIGURES_FOLDER
from data.storage import NewFolder
from evaluate.claims import Result
from evaluate.report.figures import draw_figures
from evaluate.report.page import write_report
from evaluate.report.results import write_results
from train.runs.experiment import MeasuredRun


def write_outputs(
    runs: Sequence[MeasuredRun], folder: Path, claims: Sequence[Result] = ()
) -> list[str]:
    """Write the figures, tables and page of an experiment into its folder.

    Returns in words what was drawn, and where it is.
    """
    return _write(runs, folder, folder, claims, compares=False)


def write_comparison(runs: Sequence[MeasuredRun], out: Path) -> list[str]:
    """The same about runs of several experiments, in a new folder.

    Raises UserError if the folder is there already.
    """
    with NewFolder(out) as unfinished:
        return _write(runs, unfinished, out, claims=(), compares=True)


def _write(
    runs: Sequence[MeasuredRun],
    folder: Path,
    final_folder: Path,
    claims: Sequence[Result],
    compares: bool,
) -> list[str]:
    """Write into `folder`, which will be `final_folder` in the end."""
    drawn = draw_figures(runs, folder / FIGURES_FOLDER, compares)
    write_results(runs, folder / FIGURES_FOLDER, claims)
    path = write_report(runs, folder, final_folder, compares, claims)
    lines = drawn._replace(folder=final_folder / FIGURES_FOLDER).lines()
    return [*lines, f"all on one page: {final_folder / path.name}"]
