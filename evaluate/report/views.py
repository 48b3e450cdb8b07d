"""Image sheets and scales of runs for the page, epoch by epoch. See `read_views`."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from data.paths import require_file
from evaluate.sheet_layout import COLUMNS, GAP, INTERPOLATION_LIMIT, enlargement, tile_lefts
from train.runs.experiment import MeasuredRun
from train.runs.folder import RunFolder

MOST_PIXELS = 768  # the width of a sheet on the page
_MOST_EPOCHS = 12  # of a run whose sheets are on the page
_MOST_SETS = 96  # epochs of all runs together: more would make too large a page
_WEBP_QUALITY = 80
_CRISP_QUALITY = 90  # of small images, which the page enlarges
_SCALE_DECIMALS = 4


class Sheet(NamedTuple):
    """A kind of sheet: what it shows, and how many tiles of a row belong together."""

    caption: str
    group: int = 1


SHEETS = {
    "samples": Sheet("Generated images, of the same latents in every epoch"),
    "real_reconstructed": Sheet("In each pair, left: test image, right: reconstructed image", 2),
    "fake_reconstructed": Sheet(
        "In each pair, left: generated image, right: reconstructed image", 2
    ),
    "interpolation_1": Sheet(
        "A row for each of 8 latents; its most important element goes "
        + " or ".join(f"from {-e:.3g} to {e:.3g} ({p})" for p, e in INTERPOLATION_LIMIT.items())
    ),
}


def read_views(seeds: Sequence[tuple[MeasuredRun, RunFolder]]) -> list[dict[str, Any]]:
    """What the page shows of each run with images, for its script.

    Missing or damaged images and scales are left out.
    """
    drawn = [(run, seed, _drawn_epochs(seed)) for run, seed in seeds]
    drawn = [(run, seed, epochs) for run, seed, epochs in drawn if epochs]
    most = max(2, min(_MOST_EPOCHS, _MOST_SETS // max(1, len(drawn))))
    return [_view(run, seed, epochs, most) for run, seed, epochs in drawn]


def spread(epochs: Sequence[int], most: int = _MOST_EPOCHS) -> list[int]:
    """At most so many of the epochs, evenly, with the first and the last."""
    count = min(len(epochs), most)
    return [epochs[index] for index in np.linspace(0, len(epochs) - 1, count).round().astype(int)]


def _drawn_epochs(folder: RunFolder) -> list[int]:
    measured = [row["epoch"] for row in folder.evaluated_rows()]
    return [epoch for epoch in measured if folder.images(epoch).is_dir()]


def _view(run: MeasuredRun, folder: RunFolder, drawn: list[int], most: int) -> dict[str, Any]:
    """The sheets and sorted scales of one run, by epoch."""
    epochs = spread(drawn, most)
    images = [folder.images(epoch) for epoch in epochs]
    size = run.config.data.resolution if run.config else None
    with ThreadPoolExecutor() as pool:
        sheets = {
            name: _present(epochs, pool.map(_embed, images, repeat(name), repeat(size)))
            for name in SHEETS
        }
    has_scale = run.config is None or run.config.latent.dynamic_scale
    scales = [_sorted_scale(folder / "scale.npy") for folder in images] if has_scale else []
    return {
        "name": f"{run.name}, seed {folder.seed}",
        "epochs": epochs,
        "left_out": len(drawn) - len(epochs),
        "sheets": sheets,
        "scales": _present(epochs, scales) if has_scale else {},
    }


def _present(epochs: Sequence[int], values: Iterable[Any]) -> Mapping[int, Any]:
    """{epoch: value}, without None."""
    return {e: value for e, value in zip(epochs, values, strict=True) if value is not None}


def _embed(folder: Path, name: str, size: int | None) -> str | None:
    """The tiles of a sheet, without gaps, as a data address; None if it is missing or damaged.

    Images of `size` pixels that the sheet shows enlarged have their own size again.
    """
    path = folder / f"{name}.png"
    try:
        require_file(path)
        with Image.open(path) as image:
            tiles = _without_gaps(np.asarray(image.convert("RGB")), SHEETS[name].group)
    except Exception:  # Pillow raises a different class for each kind of damage
        return None
    factor = enlargement(size or tiles.shape[1])
    if tiles.shape[1] != COLUMNS * factor * (size or 0):
        factor = 1
    sheet = Image.fromarray(tiles[::factor, ::factor])
    sheet.thumbnail((MOST_PIXELS, sheet.height))
    content = io.BytesIO()
    sheet.save(content, "WEBP", quality=_CRISP_QUALITY if factor > 1 else _WEBP_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"


def _without_gaps(sheet: np.ndarray, group: int) -> np.ndarray:
    """The tiles of a sheet (height, width, 3) side by side. Raises ValueError for other sheets."""
    gaps = tile_lefts(0, group=group)[-1]
    width, rest = divmod(sheet.shape[1] - gaps, COLUMNS)
    rows, rest_below = divmod(len(sheet) + GAP, width + GAP)
    if rest or rest_below:
        raise ValueError("no sheet of square tiles")
    lefts = tile_lefts(width, group=group)
    tops = [row * (width + GAP) for row in range(rows)]
    columns = np.concatenate([sheet[:, left : left + width] for left in lefts], axis=1)
    return np.concatenate([columns[top : top + width] for top in tops])


def _sorted_scale(path: Path) -> list[float] | None:
    """s, the largest first; None if the file is missing or damaged."""
    try:
        require_file(path)
        scale = np.asarray(np.load(path), np.float64)
    except Exception:  # numpy raises many classes for a damaged file
        return None
    if scale.ndim != 1 or not np.all(np.isfinite(scale)):
        return None
    return np.sort(scale)[::-1].round(_SCALE_DECIMALS).tolist()
