"""The commands that show what was measured, behind main.py's options; without TensorFlow."""

from collections.abc import Sequence
from pathlib import Path

from evaluate.claims import check_claims
from evaluate.report.claims_table import print_claims
from evaluate.report.outputs import write_comparison, write_outputs
from evaluate.report.results import print_results
from train.runs.experiment import MeasuredRun


def figures(runs: Sequence[MeasuredRun], experiment: Path) -> None:
    """Print final metrics of an experiment and the claims; write its figures, tables and page."""
    claims = check_claims(runs)
    lines = write_outputs(runs, experiment, claims)
    print_results(runs)
    print_claims(claims)
    print(*lines, sep="\n")


def compare(runs: Sequence[MeasuredRun], out: Path) -> None:
    """Print the final metrics of runs of several experiments; write figures, tables and a page."""
    lines = write_comparison(runs, out)
    print_results(runs)
    print(*lines, sep="\n")
