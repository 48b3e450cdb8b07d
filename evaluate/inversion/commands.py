"""The commands for trained runs, behind the options of evaluate/inversion/command_line.py.

They read a checkpoint of a run folder, see `TrainedRun`. Those that make files fill a new folder:
`out`, or one in the run's folder.
"""

import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from config import UserError
from data.storage import save_image
from data.user_images import unique_stems
from evaluate.inversion import editing, explore_server
from evaluate.inversion.animation import save_animations
from evaluate.inversion.explore import Explorer
from evaluate.inversion.files import save_images, save_latents
from evaluate.inversion.importance import label_elements, print_elements
from evaluate.inversion.opened import opened, opened_to_write, read, require_no, sample_each
from evaluate.inversion.styles import Styles
from evaluate.sheet_layout import COLUMNS, INTERPOLATION_LIMIT
from evaluate.sheets import label_rows, tile
from evaluate.trained_run import TrainedRun
from train.experiment.display import progress_bar


def sample(
    run: Path,
    checkpoint: str,
    raw: bool,
    count: int,
    seed: int,
    files: bool,
    psi: float | None,
    out: Path | None,
) -> None:
    """Generate `count` images of one seed: a sheet, or single `files`, and their latents."""
    with opened_to_write(run, checkpoint, raw, "sample", out) as (trained, folder):
        stems = [f"{index:0{len(str(count))}d}" for index in range(1, count + 1)]
        _save_samples(folder, trained, trained.sample_latents(count, seed), stems, files, psi)


def sample_seeds(
    run: Path,
    checkpoint: str,
    raw: bool,
    seeds: Sequence[range],
    files: bool,
    psi: float | None,
    out: Path | None,
) -> None:
    """Generate one image of each seed, as `sample` does."""
    with opened_to_write(run, checkpoint, raw, "sample", out) as (trained, folder):
        numbers, latents = sample_each(trained, seeds)
        stems = [f"seed_{seed:04d}" for seed in numbers]
        _save_samples(folder, trained, latents, stems, files, psi)


def _save_samples(
    folder: Path,
    trained: TrainedRun,
    latents: np.ndarray,
    stems: Sequence[str],
    files: bool,
    psi: float | None,
) -> None:
    """Write latents (n, d_z) and their images, in `files` named by `stems` or in a sheet.

    `psi` truncates the images' styles.
    """
    generate = trained.generate
    if psi is not None:
        generate = partial(Styles(trained).generate_truncated, psi=psi)
    save_latents(folder, trained, latents, stems)
    count = len(latents)
    if not files:
        sheet = tile(generate(latents), columns=min(count, COLUMNS))
        save_image(folder / "sheet.png", sheet)
        return
    with progress_bar("generating") as on_progress:
        for start in range(0, count, trained.batch_size):
            part = slice(start, start + trained.batch_size)
            save_images(folder / "images", stems[part], generate(latents[part]))
            on_progress(min(part.stop, count), count)


def interpolate_along(
    run: Path,
    checkpoint: str,
    raw: bool,
    elements: str,
    by_rank: bool,
    count: int,
    seed: int,
    out: Path | None,
) -> None:
    """Move one latent element of `count` latents, or several elements of one latent."""
    with opened_to_write(run, checkpoint, raw, "interpolate", out) as (trained, folder):
        indices = editing.parse_elements(elements, trained, by_rank)
        latents = trained.sample_latents(count, seed)
        limit = INTERPOLATION_LIMIT[trained.config.latent.prior]
        frames = editing.frames_along(latents, indices, limit)
        moved = indices if len(indices) > 1 else indices * len(frames)
        _save_frames(folder, trained, frames, label_elements(trained, moved))


def interpolate_between(
    run: Path, checkpoint: str, raw: bool, images: Sequence[Path], out: Path | None
) -> None:
    """Move from one image's latent to another's."""
    with opened_to_write(run, checkpoint, raw, "interpolate", out) as (trained, folder):
        names, pixels, problems = read(images, trained)
        require_no(problems)
        if len(names) != 2:
            raise UserError(f"--between takes two images. Received: {len(names)}")
        _save_frames(folder, trained, editing.frames_between(*trained.encode(pixels)))


def _save_frames(
    folder: Path, trained: TrainedRun, frames: np.ndarray, labels: Sequence[str] = ()
) -> None:
    """Write a sheet, with `labels` of its rows, and animations of latents (rows, frames, d_z)."""
    sheet, animation = editing.draw_frames(trained, frames)
    save_image(folder / "sheet.png", label_rows(sheet, labels) if labels else sheet)
    save_animations(folder, animation)


def list_elements(run: Path, checkpoint: str) -> None:
    """Print the latent elements by importance."""
    with opened(run, checkpoint, raw=False) as trained:
        print_elements(trained)


def edit(
    run: Path,
    checkpoint: str,
    raw: bool,
    images: Sequence[Path],
    elements: Sequence[str],
    ranks: Sequence[str],
    examples: tuple[Path, Path] | None,
    amount: float,
    out: Path | None,
) -> None:
    """Set elements of images' latents, and move them as far as `amount` from one kind to another.

    `examples` are the folders with and without what the images are to get.
    """
    with opened_to_write(run, checkpoint, raw, "edit", out) as (trained, folder):
        changes = editing.parse_changes(elements, ranks, trained)
        names, pixels, problems = read(images, trained)
        latents = targets = trained.encode(pixels)
        if examples:
            direction, left_out = _find_direction(*examples, trained)
            targets = direction.move(latents, amount, trained.scale)
            problems += left_out
        targets = editing.set_elements(targets, changes)
        sheet, edited = editing.draw_edits(trained, pixels, latents, targets)
        save_image(folder / "sheet.png", sheet)
        save_images(folder / "images", unique_stems(names), edited)
        save_latents(folder, trained, targets, names)
    require_no(problems)


def _find_direction(
    with_examples: Path, without_examples: Path, trained: TrainedRun
) -> tuple[editing.Direction, list[str]]:
    """(the direction from one folder of examples to the other, problems in reading)."""
    _, pixels, problems = read([with_examples], trained)
    _, other_pixels, more_problems = read([without_examples], trained)
    found = editing.find_direction(
        trained.encode(pixels), trained.encode(other_pixels), trained.scale
    )
    print(
        f"direction from {len(pixels)} and {len(other_pixels)} examples; it tells "
        f"{found.accuracy:.0%} of held-out ones apart (by chance: 50%)"
    )
    return found, problems + more_problems


def explore(
    run: Path,
    checkpoint: str,
    raw: bool,
    examples: tuple[Path, Path] | None,
    listener: socket.socket,
) -> None:
    """Show a page in the browser until a signal comes.

    `examples` are the folders with and without what the page's slider of a direction gives.
    """
    with opened(run, checkpoint, raw) as trained:
        explorer = Explorer(trained)
        if examples:
            direction, problems = _find_direction(*examples, trained)
            name = f"from {examples[1].resolve().name} to {examples[0].resolve().name}"
            explorer = Explorer(trained, direction, name)
            if problems:
                print(f"left out: {'; '.join(problems)}")
        port = listener.getsockname()[1]
        print(f"http://{explore_server.HOST}:{port} (Ctrl-C ends it)", flush=True)
        explore_server.serve(explorer, listener)
