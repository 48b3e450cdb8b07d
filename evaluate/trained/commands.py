"""The commands for trained runs; main.py adds them to its own.

What a command makes lies in a new folder of its own, by default RUN_DIR/<command>, and is there as
a whole or not at all. TensorFlow is imported within the commands: `--help` does not wait for it.
"""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from config import UserError, load
from evaluate.files import NewFolder
from train.device import import_tensorflow

_NAMED = 3  # files that cannot be read, in one line
_MOST_IN_SHEET = 1024
_MOST_AMOUNT = 1000
CELEBA = Path(__file__).parents[2] / "configs" / "celeba128.yaml"

app = typer.Typer()
RunDir = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="a seed_<n> folder")]
Images = Annotated[list[Path], typer.Argument(metavar="IMAGE|FOLDER...", help="any size and mode")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="a new folder [RUN_DIR/<command>]")
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="of the latents")]
Count = Annotated[
    int, typer.Option("--count", min=1, max=10**6, metavar="N", help="how many images")
]


@app.command("reconstruct")
def reconstruct(
    run: RunDir,
    images: Images,
    refine: Annotated[
        int, typer.Option("--refine", min=0, metavar="N", help="steps of optimisation after E")
    ] = 0,
    out: Out = None,
):
    """Encode images and generate them again: pairs, single images, latents, PSNR and SSIM."""
    with opened_to_write(run, "reconstruct", out) as (trained, folder):
        from data.files import unique_stems
        from evaluate.sheets import COLUMNS, alternate, save_sheet, tile
        from evaluate.trained.inversion import invert, print_metrics, write_metrics
        from evaluate.trained.storage import save_images, save_latents
        from train.display import progress

        names, pixels, problems = read(images, trained)
        with progress("refining") as report:
            encoded, refined = invert(trained, pixels, refine, report)
        found = [inversion for inversion in (encoded, refined) if inversion]
        sheet = alternate(pixels, *(inversion.images for inversion in found))
        group = 1 + len(found)  # a pair, or three
        columns = group * min(len(pixels), COLUMNS // 2)
        save_sheet(folder / "sheet.png", tile(sheet, columns, group))
        save_images(folder / "images", unique_stems(names), found[-1].images)
        save_latents(folder, trained, found[-1].latents, names)
        write_metrics(folder / "metrics.csv", names, *found)
    print_metrics(names, *found)
    require_no(problems)


@app.command("sample")
def sample(
    run: RunDir,
    count: Count = 64,
    seed: Seed = 0,
    files: Annotated[bool, typer.Option("--files", help="single images, not one sheet")] = False,
    out: Out = None,
):
    """Generate images: a sheet, or single files, and their latents."""
    if not files and count > _MOST_IN_SHEET:
        raise UserError(f"a sheet holds {_MOST_IN_SHEET} images; --files writes single ones")
    with opened_to_write(run, "sample", out) as (trained, folder):
        from evaluate.sheets import COLUMNS, save_sheet, tile
        from evaluate.trained.storage import save_images, save_latents
        from train.display import progress

        latents = trained.sample_latents(count, seed)
        stems = [f"{index:0{len(str(count))}d}" for index in range(1, count + 1)]
        save_latents(folder, trained, latents, stems)
        if not files:
            sheet = tile(trained.generate(latents), columns=min(count, COLUMNS))
            save_sheet(folder / "sheet.png", sheet)
            return
        with progress("generating") as report:
            for start in range(0, count, trained.batch_size):
                part = slice(start, start + trained.batch_size)
                save_images(folder / "images", stems[part], trained.generate(latents[part]))
                report(min(part.stop, count), count)


@app.command("interpolate")
def interpolate(
    run: RunDir,
    rank: Annotated[
        str, typer.Option("--rank", metavar="LIST", help="elements by importance: 1 or 1-8 [1]")
    ] = "",
    element: Annotated[
        str, typer.Option("--element", metavar="LIST", help="elements by index, from 0")
    ] = "",
    between: Annotated[
        tuple[Path, Path] | None, typer.Option("--between", metavar="IMAGE IMAGE", help="of yours")
    ] = None,
    count: Count = 8,
    seed: Seed = 0,
    out: Out = None,
):
    """Move along latent elements, or from one image to another: a sheet, a GIF and a WebP.

    One element: for N latents. Several: for one latent, a row an element, as in Figure 17.
    """
    if (rank != "") + (element != "") + (between is not None) > 1:
        raise UserError("use one of --rank, --element and --between")
    with opened_to_write(run, "interpolate", out) as (trained, folder):
        from evaluate.sheets import INTERPOLATION_LIMIT, save_sheet
        from evaluate.trained import editing

        if between:
            names, pixels, problems = read(between, trained)
            require_no(problems)
            if len(names) != 2:
                raise UserError(f"--between takes two images. Received: {len(names)}")
            frames = editing.frames_between(*trained.encode(pixels))
        else:
            elements = editing.parse_elements(element or rank or "1", trained, by_rank=not element)
            latents = trained.sample_latents(count, seed)
            limit = INTERPOLATION_LIMIT[trained.run.prior]
            frames = editing.frames_along(latents, elements, limit)
        sheet, animation = editing.draw_frames(trained, frames)
        save_sheet(folder / "sheet.png", sheet)
        for ending in ("gif", "webp"):
            editing.save_animation(folder / f"animation.{ending}", animation)


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
    with_it: Annotated[
        Path | None, typer.Option("--with", metavar="FOLDER", help="images that have something")
    ] = None,
    without_it: Annotated[
        Path | None, typer.Option("--without", metavar="FOLDER", help="images that do not")
    ] = None,
    amount: Annotated[
        float, typer.Option("--amount", help="1: as far as the two kinds lie apart")
    ] = 1.0,
    out: Out = None,
):
    """Change your images: set latent elements, or give them what a folder of examples has."""
    if (with_it is None) != (without_it is None):
        raise UserError("--with and --without go together")
    if not (element or rank or with_it):
        raise UserError("say what to change: --element, --rank, or --with and --without")
    if not abs(amount) <= _MOST_AMOUNT:
        raise UserError(f"--amount takes a number up to {_MOST_AMOUNT}. Received: {amount}")
    with opened_to_write(run, "edit", out) as (trained, folder):
        from data.files import unique_stems
        from evaluate.sheets import save_sheet
        from evaluate.trained import editing
        from evaluate.trained.storage import save_images, save_latents

        changes = [editing.parse_assignment(text, trained) for text in element]
        changes += [editing.parse_assignment(text, trained, by_rank=True) for text in rank]
        names, pixels, problems = read(images, trained)
        latents = targets = trained.encode(pixels)
        if with_it:
            direction, left_out = direction_of(with_it, without_it, trained)
            targets = direction.move(latents, amount, trained.scale)
            problems += left_out
        targets = editing.set_elements(targets, changes)
        sheet, edited = editing.draw_edits(trained, pixels, latents, targets)
        save_sheet(folder / "sheet.png", sheet)
        save_images(folder / "images", unique_stems(names), edited)
        save_latents(folder, trained, targets, names)
    require_no(problems)


def direction_of(with_it, without_it, trained):
    """(the `editing.Direction` from one folder of examples to another, problems in reading)."""
    from evaluate.trained.editing import find_direction

    _, pixels, problems = read([with_it], trained)
    _, other_pixels, more_problems = read([without_it], trained)
    direction = find_direction(trained.encode(pixels), trained.encode(other_pixels), trained.scale)
    print(
        f"direction from {len(pixels)} and {len(other_pixels)} examples; of held-out ones it tells "
        f"{direction.accuracy:.0%} apart (by chance: 50%)"
    )
    return direction, problems + more_problems


@app.command("export")
def export(run: RunDir, out: Out = None):
    """Write Keras models, a SavedModel that needs none of this code, and a model card."""
    with opened_to_write(run, "model", out) as (trained, folder):
        from evaluate.trained.exports import export as export_models

        export_models(trained, folder)


@app.command("explore")
def explore(
    run: RunDir,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=2**16 - 1, metavar="N", help="[the first free one]"),
    ] = None,
):
    """Drop images on a page in the browser and move their most important latent elements."""
    from evaluate.trained import explore_server as server

    server.require_library()
    with server.listening(port) as listener, opened(run) as trained:
        from evaluate.trained.explore import Explorer

        print(f"http://{server.HOST}:{listener.getsockname()[1]} (Ctrl-C ends it)", flush=True)
        server.serve(Explorer(trained), listener)


@app.command("import-reference")
def import_reference(
    mapper: Annotated[Path, typer.Argument(metavar="MAPPER.h5")],
    decoder: Annotated[Path, typer.Argument(metavar="DECODER.h5")],
    discriminator: Annotated[Path, typer.Argument(metavar="DISCRIMINATOR.h5")],
    variance_window: Annotated[Path, typer.Argument(metavar="VAR_VECTORS.npy")],
    out: Annotated[Path, typer.Option("--out", metavar="RUN_DIR", help="a new folder")],
    config: Annotated[
        Path, typer.Option("--config", metavar="CONFIG", help="of the same architecture")
    ] = CELEBA,
    run: Annotated[
        str, typer.Option("--run", metavar="NAME", help="how it was trained")
    ] = "normal_dls_dg",
    overrides: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE")] = [],
):
    """Make a run folder of the files that the authors' code saves."""
    settings = load(config, overrides)
    import_tensorflow()
    from evaluate.trained import reference

    weights = (mapper, decoder, discriminator)
    reference.import_reference(settings, run, weights, variance_window, out)
    print(f"a run of {settings.experiment.name}, {run}, is in {out}")


@app.command("export-reference")
def export_reference(run: RunDir, out: Out = None):
    """Write the files that the authors' code reads: mapper.h5, decoder.h5 ..."""
    with opened_to_write(run, "reference", out) as (trained, folder):
        from evaluate.trained import reference

        reference.export_reference(trained, folder)


@contextlib.contextmanager
def opened(path):
    """Yields the `TrainedRun` of a run folder. Raises UserError, also if memory ends within."""
    tf = import_tensorflow()
    from evaluate.trained.run import TrainedRun
    from train.job import told_when_memory_ends

    with told_when_memory_ends(tf, "try fewer images"):
        trained = TrainedRun(path)
        print(f"from {trained}")
        yield trained


@contextlib.contextmanager
def opened_to_write(run, command, out):
    """Yields a `TrainedRun` and a folder to fill: `out`, or a new one in the run's folder.

    Raises UserError as `opened` and `NewFolder` do.
    """
    made = NewFolder(out or run / command, is_numbered=out is None)
    with opened(run) as trained, made as folder:
        yield trained, folder
    print(f"all of it is in {made.path}")


def read(paths, trained):
    """(names, images, problems): see `data.files.read_images`. Raises UserError if none remains."""
    from data.files import read_images

    names, images, problems = read_images(paths, trained.config.data)
    if not names:
        require_no(problems)
    return names, images, problems


def require_no(problems):
    """Raise UserError, so that the exit code tells what was left out."""
    if problems:
        more = f" (and {len(problems) - _NAMED} more)" if len(problems) > _NAMED else ""
        raise UserError(f"left out: {'; '.join(problems[:_NAMED])}{more}")
