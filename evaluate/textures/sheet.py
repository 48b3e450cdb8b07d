"""Images of any sizes side by side under their names. See `lay_out`."""

import math
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_LEAST_SIDE = 192  # pixels; smaller images are enlarged by a whole factor
_GAP = 8
_FONT = 14
_COLUMNS = 4


def lay_out(images: Mapping[str, np.ndarray]) -> np.ndarray:
    """A sheet (height, width, 3) of uint8 images (height, width, 3), up to four in a row.

    All are enlarged by one whole factor, so that the smallest can be seen.
    """
    smallest = min(min(image.shape[:2]) for image in images.values())
    factor = math.ceil(_LEAST_SIDE / smallest)
    tiles = [_label(name, image, factor) for name, image in images.items()]
    rows = [_join(tiles[i : i + _COLUMNS], axis=1) for i in range(0, len(tiles), _COLUMNS)]
    return _join(rows, axis=0)


def _label(name: str, image: np.ndarray, factor: int) -> np.ndarray:
    enlarged = image.repeat(factor, axis=0).repeat(factor, axis=1)
    font = ImageFont.load_default(_FONT)
    width = max(enlarged.shape[1], math.ceil(font.getlength(name)))
    head = Image.new("RGB", (width, _FONT + _GAP), "white")
    ImageDraw.Draw(head).text((0, _FONT), name, "black", font, anchor="ls")
    return _join([np.asarray(head), enlarged], axis=0, gap=0)


def _join(parts: list[np.ndarray], axis: int, gap: int = _GAP) -> np.ndarray:
    """Put images in a row (axis 1) or column on white, aligned at their top or left."""
    across = max(part.shape[1 - axis] for part in parts)
    padded = []
    for index, part in enumerate(parts):
        pads = [(0, 0), (0, 0), (0, 0)]
        pads[1 - axis] = (0, across - part.shape[1 - axis])
        pads[axis] = (gap if index else 0, 0)
        padded.append(np.pad(part, pads, constant_values=255))
    return np.concatenate(padded, axis=axis)
