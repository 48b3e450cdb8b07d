"""How the sheets of images are laid out, for those who draw them and those who show them."""

import math

from config.priors import UNIFORM_LIMIT

COLUMNS = 8
GAP = 2  # pixels between tiles
PAIR_GAP = 8  # more pixels between groups of tiles
_LEAST_TILE = 48  # pixels; smaller images are enlarged by whole factors
INTERPOLATED_ELEMENTS = 8
INTERPOLATION_LIMIT = {"normal": 2.0, "uniform": UNIFORM_LIMIT}


def enlargement(size: int) -> int:
    """The whole factor by which sheets enlarge images of this height."""
    return math.ceil(_LEAST_TILE / size)


def tile_lefts(width: int, columns: int = COLUMNS, group: int = 1) -> list[int]:
    """Where the columns of a sheet begin; tiles of a `group` stand close together."""
    gap = PAIR_GAP if group > 1 else 0
    return [column * (width + GAP) + column // group * gap for column in range(columns)]
