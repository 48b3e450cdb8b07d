"""Arguments and options that commands have in common, without TensorFlow."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from config import UserError
from config.values import MOST_SEEDS
from data.storage import NewFolder
from evaluate.number_lists import parse_ranges
from train.runs.folder import RunFolder

RESULTS = Path("results")
LARGEST_SEED = 2**31 - 1
MOST_SAMPLES = 10**6


def _check_checkpoint(text: str) -> str:
    """Return the text of `--checkpoint`. Raises UserError for what can name no checkpoint."""
    if not re.fullmatch(r"last|best|\d{1,18}", text, re.ASCII):
        raise UserError(f"--checkpoint takes last, best or a step. Received: {text}")
    return text


def add_seeds(overrides: Sequence[str], seeds: str | None) -> list[str]:
    """The `KEY=VALUE` overrides with the text of `--seeds` as one more.

    Raises UserError for another text than a list of seeds, for too many, and if an override sets
    them too.
    """
    if seeds is None:
        return list(overrides)
    if any(override.partition("=")[0].strip() == "experiment.seeds" for override in overrides):
        raise UserError("--seeds is short for --set experiment.seeds=[...]: leave out one of them")
    ranges = parse_ranges(seeds, "seed", 0, LARGEST_SEED)
    if sum(map(len, ranges)) > MOST_SEEDS:
        raise UserError(f"--seeds takes {MOST_SEEDS} seeds or fewer. Received: {seeds}")
    return [*overrides, f"experiment.seeds={list(itertools.chain(*ranges))}"]


ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="a YAML file, see configs/")]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="override a key: train.epochs=3")
]
Seeds = Annotated[
    str | None,
    typer.Option("--seeds", metavar="LIST", help="short for experiment.seeds: 100-109 or 3,5,7"),
]
ResultsFolder = Annotated[Path, typer.Option("--out", metavar="DIR", help="where results go")]
JobsAtOnce = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        metavar="N",
        help="runs at once [one for each GPU; without GPUs, one for each core]",
    ),
]
RunIndex = Annotated[
    int | None,
    typer.Option(
        "--run-index", min=0, metavar="I", help="train share I of --run-count shares, from 0"
    ),
]
RunCount = Annotated[
    int | None,
    typer.Option("--run-count", min=1, metavar="N", help="take only every N-th run, draw nothing"),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="start over; the old run is moved aside")]
AcceptNewData = Annotated[
    bool, typer.Option("--accept-new-data", help="go on though the images have changed")
]
RunDir = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="a seed_<n> folder")]
Checkpoint = Annotated[
    str,
    typer.Option(
        "--checkpoint",
        metavar="last|best|STEP",
        callback=_check_checkpoint,
        help="the newest, the best by FID, or the one of a step",
    ),
]
Raw = Annotated[
    bool, typer.Option("--raw", help="the last weights, not their averages (train.average_decay)")
]
Images = Annotated[list[Path], typer.Argument(metavar="IMAGE|FOLDER...", help="any size and mode")]
NewOut = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="a new folder [one in RUN_DIR]")
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="seed of the sampled latents")
]
Count = Annotated[
    int, typer.Option("--count", min=1, max=MOST_SAMPLES, metavar="N", help="how many images")
]


def require_run(run: Path, out: Path | None = None) -> None:
    """Raise UserError if no run is in a folder, or if something is at `out`."""
    RunFolder(run).read()
    if out:
        NewFolder(out).require_free()
