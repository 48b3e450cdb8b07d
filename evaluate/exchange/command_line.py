"""The options of the commands that exchange models with other programs; main.py adds them.

Each command that makes files writes a new folder, by default in RUN_DIR, as a whole or not at all.
"""

from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from config import load
from data.paths import require_file
from data.storage import NewFolder
from evaluate.options import Checkpoint, NewOut, Overrides, Raw, RunDir, require_run
from train.runtime.startup import import_tensorflow

CELEBA = Path(__file__).parents[2] / "configs" / "celeba128.yaml"

app = typer.Typer()


def _with_tensorflow() -> ModuleType:
    """What the commands do: TensorFlow takes seconds to import, so this comes late."""
    import_tensorflow()
    from evaluate.exchange import commands

    return commands


@app.command("export")
def export(
    run: RunDir, checkpoint: Checkpoint = "last", raw: Raw = False, out: NewOut = None
) -> None:
    """Write Keras models, a SavedModel that needs none of this code, and a model card.

    They go to RUN_DIR/model, or where --out says.
    """
    require_run(run, out)
    _with_tensorflow().export(run, checkpoint, raw, out)


@app.command("import-reference")
def import_reference(
    mapper: Annotated[Path, typer.Argument(metavar="MAPPER.h5")],
    decoder: Annotated[Path, typer.Argument(metavar="DECODER.h5")],
    discriminator: Annotated[Path, typer.Argument(metavar="DISCRIMINATOR.h5")],
    variance_window: Annotated[Path, typer.Argument(metavar="VAR_VECTORS.npy")],
    out: Annotated[Path, typer.Option("--out", metavar="RUN_DIR", help="a new folder")],
    config_file: Annotated[
        Path, typer.Option("--config", metavar="CONFIG", help="config with the files' architecture")
    ] = CELEBA,
    run: Annotated[
        str, typer.Option("--run", metavar="NAME", help="the run that trained the model")
    ] = "normal_dls_dg",
    overrides: Overrides = [],
) -> None:
    """Make a run folder from the files that the authors' code saves."""
    config = load(config_file, overrides)
    weights = (mapper, decoder, discriminator)
    for file in (*weights, variance_window):
        require_file(file)
    NewFolder(out).require_free()
    _with_tensorflow().import_reference(config, run, weights, variance_window, out)


@app.command("export-reference")
def export_reference(
    run: RunDir, checkpoint: Checkpoint = "last", raw: Raw = False, out: NewOut = None
) -> None:
    """Write the files that the authors' code reads: mapper.h5, decoder.h5 ...

    They go to RUN_DIR/reference, or where --out says.
    """
    require_run(run, out)
    _with_tensorflow().export_reference(run, checkpoint, raw, out)
