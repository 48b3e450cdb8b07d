"""The exemplar of a texture model: a user's image, or a made one. See `Exemplar`."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from config import UserError
from data.images import BadImageError, decode_file
from data.made_exemplars import MADE
from data.paths import require_file
from data.sources.base import printable, read_file

_MADE_SIDE = 128


class Crop(NamedTuple):
    """A rectangle of an image in pixels; without a place it is the central one."""

    height: int
    width: int
    top: int | None = None
    left: int | None = None


class Exemplar(NamedTuple):
    """An image to learn from; `other` is another part of the same picture, of the same size."""

    name: str
    image: np.ndarray  # uint8 (height, width, 3)
    other: np.ndarray | None
    remark: str  # what the user should know of the file; "" for most


def make_exemplar(name: str, seed: int, longest_side: int = _MADE_SIDE) -> Exemplar:
    """128x128 pixels of a texture in `MADE`, and its neighbours to the right, shrunk as a file."""
    wide = MADE[name](_MADE_SIDE, 2 * _MADE_SIDE, seed)
    made = Exemplar(name, wide[:, :_MADE_SIDE], wide[:, _MADE_SIDE:], "")
    return _shrink_to(longest_side, made)


def read_exemplar(path: Path, crop: Crop | None, longest_side: int) -> Exemplar:
    """Read an image file of any size and mode: grey is repeated, alpha laid over white.

    What is longer than `longest_side` pixels is shrunk. Raises UserError for what is no image and
    for a crop beyond it.
    """
    require_file(path)
    try:
        decoded, remark = decode_file(read_file(path))
    except BadImageError as error:
        raise UserError(f"{printable(str(path))}: {error}") from error
    pixels, other = decoded.numpy(), None
    if crop:
        pixels, other = _cut(pixels, crop, path)
    return _shrink_to(longest_side, Exemplar(path.stem, pixels, other, printable(remark)))


def _shrink_to(longest_side: int, exemplar: Exemplar) -> Exemplar:
    """The exemplar, or a smaller one with a remark on it."""
    height, width = exemplar.image.shape[:2]
    if max(height, width) <= longest_side:
        return exemplar
    factor = longest_side / max(height, width)
    size = max(1, round(height * factor)), max(1, round(width * factor))
    shrunk = f"shrunk from {height}x{width} to {size[0]}x{size[1]} (longest_side)"
    return exemplar._replace(
        image=_shrink(exemplar.image, size),
        other=None if exemplar.other is None else _shrink(exemplar.other, size),
        remark="; ".join(filter(None, [exemplar.remark, shrunk])),
    )


def _cut(pixels: np.ndarray, crop: Crop, path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """(the crop of an image, another one that does not overlap it, if there is room)."""
    height, width = pixels.shape[:2]
    top = (height - crop.height) // 2 if crop.top is None else crop.top
    left = (width - crop.width) // 2 if crop.left is None else crop.left
    bottom, right = top + crop.height, left + crop.width
    if min(top, left) < 0 or bottom > height or right > width:
        where = "" if crop.top is None else f"+{crop.top}+{crop.left}"
        raise UserError(
            f"--crop {crop.height}x{crop.width}{where} reaches beyond the image: {path} has "
            f"{height}x{width} pixels"
        )
    free = {  # (top, left) of the crops beside it, and the room that each has
        (top, right): width - right,
        (top, left - crop.width): left,
        (bottom, left): height - bottom,
        (top - crop.height, left): top,
    }
    needed = [crop.width, crop.width, crop.height, crop.height]
    others = [place for place, need in zip(free, needed, strict=True) if free[place] >= need]
    found = [
        pixels[row : row + crop.height, column : column + crop.width] for row, column in others
    ]
    return pixels[top:bottom, left:right], found[0] if found else None


def _shrink(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    resized = tf.image.resize(pixels, size, antialias=True).numpy()
    return np.uint8(np.rint(np.clip(resized, 0.0, 255.0)))
