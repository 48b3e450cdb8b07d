"""The commands behind the options of evaluate/exchange/command_line.py."""

from collections.abc import Sequence
from pathlib import Path

from config import Config
from evaluate.exchange import exports, reference
from evaluate.inversion.opened import opened_to_write


def export(run: Path, checkpoint: str, raw: bool, out: Path | None) -> None:
    """Write Keras models, a SavedModel and a model card."""
    with opened_to_write(run, checkpoint, raw, "model", out) as (trained, folder):
        exports.export(trained, folder)


def import_reference(
    config: Config, run: str, weights: Sequence[Path], variance_window: Path, out: Path
) -> None:
    """Make a run folder from the authors' files."""
    reference.import_reference(config, run, weights, variance_window, out)
    print(f"a run of {config.experiment.name}, {run}, is in {out}")


def export_reference(run: Path, checkpoint: str, raw: bool, out: Path | None) -> None:
    """Write the authors' files."""
    with opened_to_write(run, checkpoint, raw, "reference", out) as (trained, folder):
        reference.export_reference(trained, folder)
