"""The options of the commands that invert images; main.py adds them to its own."""

from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from config import UserError
from data.paths import require_any
from evaluate.inversion.methods.choices import METHODS, Choice, Features, MethodName, Space
from evaluate.options import MOST_SAMPLES, Checkpoint, Images, NewOut, Raw, RunDir, require_run
from train.runs.absence import explain_no_experiment
from train.runs.experiment import list_folders
from train.runtime.startup import import_tensorflow

_MOST_STEPS = 10**6
_LEAST_IMAGES = 2  # a bootstrap interval takes as many
_OPTIMISING = [name for name, method in METHODS.items() if method.steps]
_DEFAULTS = ", ".join(f"{name} {METHODS[name].steps}" for name in _OPTIMISING)

app = typer.Typer()


def _with_tensorflow() -> ModuleType:
    """What the commands do: TensorFlow takes seconds to import, so this comes late."""
    import_tensorflow()
    from evaluate.inversion.methods import commands

    return commands


@app.command("reconstruct")
def reconstruct(
    run: RunDir,
    images: Images,
    method: Annotated[
        MethodName | None, typer.Option("--method", help="how latents are found [encoder]")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=0, max=_MOST_STEPS, metavar="N", help=f"of optimisation [{_DEFAULTS}]"
        ),
    ] = None,
    space: Annotated[
        Space,
        typer.Option("--space", help="what is optimised: latents, or styles (w+: for each layer)"),
    ] = "z",
    features: Annotated[
        Features,
        typer.Option(
            "--features",
            help="what is compared beside pixels: D's own features, or those of "
            "evaluate.features, which FID judges by too",
        ),
    ] = "discriminator",
    refine: Annotated[
        int | None,
        typer.Option(
            "--refine",
            min=0,
            max=_MOST_STEPS,
            metavar="N",
            help="short for --method hybrid --steps N",
        ),
    ] = None,
    checkpoint: Checkpoint = "last",
    raw: Raw = False,
    out: NewOut = None,
) -> None:
    """Invert images and generate them again: pairs, single images, latents, PSNR and SSIM."""
    if refine is not None:
        if method or steps is not None:
            raise UserError(
                "--refine N is short for --method hybrid --steps N: leave out --method and --steps"
            )
        method, steps = "hybrid", refine
    name = method or "encoder"
    if name == "encoder" and steps:
        raise UserError(f"the encoder takes no steps; {', '.join(_OPTIMISING)} do")
    require_run(run, out)
    require_any(images)
    chosen = Choice(name, METHODS[name].steps if steps is None else steps, space, features)
    _with_tensorflow().reconstruct(run, checkpoint, raw, images, chosen, out)


@app.command("inversions")
def compare(
    experiment: Annotated[Path, typer.Argument(metavar="EXPERIMENT_DIR", help="results/<name>")],
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, max=_MOST_STEPS, metavar="N", help=f"of each [{_DEFAULTS}]"),
    ] = None,
    count: Annotated[
        int,
        typer.Option(
            "--images",
            min=_LEAST_IMAGES,
            max=MOST_SAMPLES,
            metavar="N",
            help="test images, and as many generated ones",
        ),
    ] = 32,
) -> None:
    """Compare all methods of inversion on all runs of an experiment: table, figure, sheet."""
    if not list_folders(experiment):
        raise UserError(f"{experiment}: {explain_no_experiment(experiment)}")
    _with_tensorflow().compare(experiment, steps, count)
