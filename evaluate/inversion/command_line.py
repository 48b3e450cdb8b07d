"""The options of the commands for trained runs; main.py adds them to its own.

Each command that makes files writes a new folder, by default in RUN_DIR, as a whole or not at all.
"""

import math
import re
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from config import UserError
from data.paths import require_any
from evaluate.inversion import explore_server
from evaluate.number_lists import parse_ranges
from evaluate.options import (
    LARGEST_SEED,
    MOST_SAMPLES,
    Checkpoint,
    Count,
    Images,
    NewOut,
    Raw,
    RunDir,
    Seed,
    require_run,
)
from train.runtime.startup import import_tensorflow

_MOST_IN_SHEET = 1024
_MOST_AMOUNT = 1000
_MOST_PSI = 10

WithExamples = Annotated[
    Path | None, typer.Option("--with", metavar="FOLDER", help="images that have something")
]
WithoutExamples = Annotated[
    Path | None, typer.Option("--without", metavar="FOLDER", help="images that do not")
]

app = typer.Typer()


def _with_tensorflow() -> ModuleType:
    """What the commands do: TensorFlow takes seconds to import, so this comes late."""
    import_tensorflow()
    from evaluate.inversion import commands

    return commands


def _combinations() -> ModuleType:
    import_tensorflow()
    from evaluate.inversion import combinations

    return combinations


def _pair_examples(
    with_examples: Path | None, without_examples: Path | None
) -> tuple[Path, Path] | None:
    """The folders of a direction, or None without one. Raises UserError for one of them alone."""
    if with_examples and without_examples:
        return with_examples, without_examples
    if with_examples or without_examples:
        raise UserError("--with and --without go together")
    return None


def _require_images(paths: tuple[Path, Path] | None) -> None:
    """Raise UserError if there are paths and nothing is at one of them."""
    for path in paths or ():
        require_any([path])


@app.command("sample")
def sample(
    context: typer.Context,
    run: RunDir,
    count: Count = 64,
    seed: Seed = 0,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="LIST", help="an image of each: 1-16 or 3,7")
    ] = None,
    files: Annotated[bool, typer.Option("--files", help="single images, not one sheet")] = False,
    truncation: Annotated[
        float | None,
        typer.Option("--truncation", metavar="PSI", help="pull styles to their mean: 0 to 1"),
    ] = None,
    checkpoint: Checkpoint = "last",
    raw: Raw = False,
    out: NewOut = None,
) -> None:
    """Generate images: a sheet, or single files, and their latents."""
    ranges = [] if seeds is None else parse_ranges(seeds, "seed", 0, LARGEST_SEED)
    if ranges and (_is_given(context, "count") or _is_given(context, "seed")):
        raise UserError("--seeds says which seeds and how many: leave out --seed and --count")
    if (sum(map(len, ranges)) or count) > (MOST_SAMPLES if files else _MOST_IN_SHEET):
        raise UserError(
            f"a sheet holds {_MOST_IN_SHEET} images; --files writes up to {MOST_SAMPLES} single "
            "ones"
        )
    if truncation is not None and not abs(truncation) <= _MOST_PSI:
        raise UserError(
            f"--truncation takes a number from -{_MOST_PSI} to {_MOST_PSI}. Received: {truncation}"
        )
    require_run(run, out)
    commands = _with_tensorflow()
    if ranges:
        commands.sample_seeds(run, checkpoint, raw, ranges, files, truncation, out)
    else:
        commands.sample(run, checkpoint, raw, count, seed, files, truncation, out)


def _is_given(context: typer.Context, option: str) -> bool:
    """Whether the user gave an option, also if it has the default's value."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


@app.command("interpolate")
def interpolate(
    run: RunDir,
    rank: Annotated[
        list[str],
        typer.Option("--rank", metavar="LIST", help="elements by importance: 1 or 1-8 [1]"),
    ] = [],
    element: Annotated[
        list[str], typer.Option("--element", metavar="LIST", help="elements by index, from 0")
    ] = [],
    between: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--between", metavar="IMAGE IMAGE", help="two of your images"),
    ] = None,
    count: Count = 8,
    seed: Seed = 0,
    checkpoint: Checkpoint = "last",
    raw: Raw = False,
    out: NewOut = None,
) -> None:
    """Move along latent elements, or from one image to another: a sheet and animations.

    One element: for N latents. Several: for one latent, a row an element, as in Figure 17.
    """
    lists = [*rank, *element]
    if len(lists) + (between is not None) > 1:
        raise UserError("use one of --rank, --element and --between, once; a list is 1-3 or 1,5,7")
    require_run(run, out)
    _require_images(between)
    commands = _with_tensorflow()
    if between:
        commands.interpolate_between(run, checkpoint, raw, between, out)
    else:
        text = lists[0] if lists else "1"
        commands.interpolate_along(run, checkpoint, raw, text, not element, count, seed, out)


@app.command("mix")
def mix(
    run: RunDir,
    rows: Annotated[
        str, typer.Option("--rows", metavar="SEEDS|IMAGES", help="1-4, an image or a folder")
    ],
    columns: Annotated[
        str, typer.Option("--columns", metavar="SEEDS|IMAGES", help="whose styles they get")
    ],
    layers: Annotated[
        str | None,
        typer.Option("--layers", metavar="LIST", help="in which layers [first half]"),
    ] = None,
    checkpoint: Checkpoint = "last",
    raw: Raw = False,
    out: NewOut = None,
) -> None:
    """Mix the styles of images, row by column: for backbones with a style for each layer."""
    require_run(run, out)
    sources = [_find_source(text) for text in (rows, columns)]
    seeds = [sum(map(len, source)) for source in sources if isinstance(source, list)]
    if math.prod(seeds) > _MOST_IN_SHEET:
        raise UserError(
            f"a sheet holds {_MOST_IN_SHEET} images. Received: --rows {rows} --columns {columns}"
        )
    _combinations().mix(run, checkpoint, raw, *sources, layers, out)


def _find_source(text: str) -> Path | list[range]:
    """Seeds from a text such as 1-4, or else the path of images. Raises UserError."""
    if re.fullmatch(r"[\d\s,-]+", text):
        return parse_ranges(text, "seed", 0, LARGEST_SEED)
    require_any([Path(text)])
    return Path(text)


@app.command("arithmetic")
def arithmetic(
    run: RunDir,
    plus: Annotated[
        list[Path], typer.Option("--plus", metavar="IMAGE|FOLDER", help="add their mean latent")
    ],
    minus: Annotated[
        list[Path], typer.Option("--minus", metavar="IMAGE|FOLDER", help="subtract it")
    ] = [],
    checkpoint: Checkpoint = "last",
    raw: Raw = False,
    out: NewOut = None,
) -> None:
    """Add and subtract the mean latents of images; both options may be repeated."""
    require_run(run, out)
    for path in (*plus, *minus):
        require_any([path])
    _combinations().arithmetic(run, checkpoint, raw, plus, minus, out)


@app.command("elements")
def list_elements(run: RunDir, checkpoint: Checkpoint = "last") -> None:
    """Print all latent elements by importance: rank, index, scale s and variance v."""
    require_run(run)
    _with_tensorflow().list_elements(run, checkpoint)


@app.command("edit")
def edit(
    run: RunDir,
    images: Images,
    element: Annotated[
        list[str], typer.Option("--element", metavar="I=VALUE", help="set an element, from 0")
    ] = [],
    rank: Annotated[
        list[str], typer.Option("--rank", metavar="R=VALUE", help="the same, by importance, from 1")
    ] = [],
    with_examples: WithExamples = None,
    without_examples: WithoutExamples = None,
    amount: Annotated[
        float, typer.Option("--amount", help="1: as far as the two kinds lie apart")
    ] = 1.0,
    checkpoint: Checkpoint = "last",
    raw: Raw = False,
    out: NewOut = None,
) -> None:
    """Change your images: set latent elements, or give them what a folder of examples has."""
    examples = _pair_examples(with_examples, without_examples)
    if not (element or rank or examples):
        raise UserError("say what to change: --element, --rank, or --with and --without")
    if not abs(amount) <= _MOST_AMOUNT:
        raise UserError(f"--amount takes a number up to {_MOST_AMOUNT}. Received: {amount}")
    require_run(run, out)
    require_any(images)
    _require_images(examples)
    _with_tensorflow().edit(run, checkpoint, raw, images, element, rank, examples, amount, out)


@app.command("explore")
def explore(
    run: RunDir,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=2**16 - 1, metavar="N", help="[the first free one]"),
    ] = None,
    with_examples: WithExamples = None,
    without_examples: WithoutExamples = None,
    checkpoint: Checkpoint = "last",
    raw: Raw = False,
) -> None:
    """Drop images on a page in the browser and move their most important latent elements.

    --with and --without add a slider that gives them what a folder of examples has.
    """
    examples = _pair_examples(with_examples, without_examples)
    require_run(run)
    _require_images(examples)
    explore_server.require_library()
    with explore_server.listen(port) as listener:
        _with_tensorflow().explore(run, checkpoint, raw, examples, listener)
