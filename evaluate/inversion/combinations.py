"""The commands that make images of several others, see evaluate/inversion/commands.py."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.storage import save_image
from data.user_images import unique_stems
from evaluate.inversion.arithmetic import Term, add_and_draw
from evaluate.inversion.files import save_images, save_latents
from evaluate.inversion.opened import opened_to_write, read, require_no, sample_each
from evaluate.inversion.styles import Styles
from evaluate.number_lists import parse_ranges
from evaluate.trained_run import TrainedRun

Source = Path | Sequence[range]  # of latents: images, or seeds


def mix(
    run: Path,
    checkpoint: str,
    raw: bool,
    rows: Source,
    columns: Source,
    layers: str | None,
    out: Path | None,
) -> None:
    """Give images the styles of others in some layers: a sheet, and the latents."""
    with opened_to_write(run, checkpoint, raw, "mix", out) as (trained, folder):
        styles = Styles(trained)
        last = styles.layers - 1
        text = layers or f"0-{last // 2}"
        chosen = [n for part in parse_ranges(text, "layer", 0, last) for n in part]
        row_names, row_latents, problems = _find_latents(rows, trained)
        column_names, column_latents, more_problems = _find_latents(columns, trained)
        sheet, images = styles.draw_mixes(row_latents, column_latents, chosen)
        save_image(folder / "sheet.png", sheet)
        stems = [f"{row}_{column}" for row in row_names for column in column_names]
        save_images(folder / "images", unique_stems(stems), images)
        latents = np.concatenate([row_latents, column_latents])
        save_latents(folder, trained, latents, [*row_names, *column_names])
        print(f"layers {', '.join(map(str, chosen))} of 0 to {last} have the columns' styles")
    require_no(problems + more_problems)


def _find_latents(source: Source, trained: TrainedRun) -> tuple[list[str], np.ndarray, list[str]]:
    """(names, latents (n, d_z), problems) of seeds, or of images."""
    if isinstance(source, Path):
        names, pixels, problems = read([source], trained)
        return unique_stems(names), trained.encode(pixels), problems
    numbers, latents = sample_each(trained, source)
    return [f"seed_{number:04d}" for number in numbers], latents, []


def arithmetic(
    run: Path,
    checkpoint: str,
    raw: bool,
    plus: Sequence[Path],
    minus: Sequence[Path],
    out: Path | None,
) -> None:
    """Add and subtract the mean latents of images: a sheet, the result, and the latents."""
    with opened_to_write(run, checkpoint, raw, "arithmetic", out) as (trained, folder):
        terms, problems = [], []
        for sign, paths in ((1, plus), (-1, minus)):
            for path in paths:
                _, pixels, left_out = read([path], trained)
                terms.append(Term(sign, path.resolve().stem, pixels))
                problems += left_out
        latents, sheet = add_and_draw(trained, terms)
        save_image(folder / "sheet.png", sheet)
        save_images(folder / "images", ["result"], trained.generate(latents[-1:]))
        save_latents(folder, trained, latents, [*(term.name for term in terms), "result"])
    require_no(problems)
