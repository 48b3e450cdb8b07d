"""Runs of several experiments on the same figures, table and page. See `write_comparison`."""

from collections.abc import Sequence
from pathlib import Path

from data.storage import NewFolder
from evaluate.report.figures import draw_figures
from evaluate.report.page import write_report
from evaluate.report.results import write_results
from train.runs.experiment import MeasuredRun


def write_comparison(runs: Sequence[MeasuredRun], out: Path) -> list[str]:
    """Write figures/, results.md, results.csv and report.html into a new folder.

    Returns in words what was drawn. Raises UserError if the folder is there already.
    """
    made = NewFolder(out)
    with made as folder:
        drawn = draw_figures(runs, folder / "figures", compares=True)
        write_results(runs, folder / "figures")
        write_report(runs, folder, made.path.name, compares=True, final_folder=made.path)
    lines = drawn._replace(folder=out / "figures").lines()
    return [*lines, f"all on one page: {out / 'report.html'}"]
