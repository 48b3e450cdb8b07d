"""Exemplars of texture models that are drawn here, free of any licence. See `MADE`."""

from collections.abc import Callable

import numpy as np

_BRICK_HEIGHT, _BRICK_WIDTH, _MORTAR = 16, 32, 2  # pixels
_BRICK_COLOUR, _MORTAR_COLOUR = (0.62, 0.29, 0.21), (0.75, 0.73, 0.69)
_COBBLE = 14  # pixels from one stone to the next, about
_STONE_COLOUR, _GAP_COLOUR = (0.58, 0.55, 0.48), (0.20, 0.17, 0.14)
_GAP = 0.35  # from the middle of a gap to its end, in stones
_LIGHT = (-0.22, -0.16)  # change of brightness over a stone, down and to the right


def make_bricks(height: int, width: int, seed: int) -> np.ndarray:
    """A running-bond brick wall: uint8 (height, width, 3).

    Bricks of 32x16 pixels differ a little in colour and place; noise makes their grain.
    """
    generator = np.random.default_rng(seed)
    rows, columns = np.indices((height, width))
    course = rows // _BRICK_HEIGHT
    courses, bricks = height // _BRICK_HEIGHT + 1, width // _BRICK_WIDTH + 2
    jitter = generator.integers(0, 2, courses)
    shifted = columns + course % 2 * (_BRICK_WIDTH // 2) + jitter[course]
    brick = shifted // _BRICK_WIDTH
    is_mortar = (rows % _BRICK_HEIGHT < _MORTAR) | (shifted % _BRICK_WIDTH < _MORTAR)
    tones = _draw_tones(generator, courses, bricks)
    colours = np.where(is_mortar[:, :, None], _MORTAR_COLOUR, _BRICK_COLOUR + tones[course, brick])
    return _to_uint8(colours + generator.normal(0.0, 0.03, (height, width, 1)))


def make_cobbles(height: int, width: int, seed: int) -> np.ndarray:
    """Paving of round stones, one at a random place of each square: uint8 (height, width, 3).

    A pixel belongs to the nearest stone, and to a gap where the next one is about as near.
    """
    generator = np.random.default_rng(seed)
    squares = [-(-side // _COBBLE) + 2 for side in (height, width)]
    corners = np.moveaxis(np.indices(squares), 0, -1) - 1.0
    stones = (corners + generator.uniform(0.1, 0.9, corners.shape)).reshape(-1, 2)
    tones = _draw_tones(generator, *squares).reshape(-1, 3)
    places = np.moveaxis(np.indices((height, width)), 0, -1) / _COBBLE
    distances = np.linalg.norm(places[:, :, None] - stones, axis=-1)
    nearest = distances.argmin(axis=-1)
    two = np.partition(distances, 1, axis=-1)
    body = np.clip((two[:, :, 1] - two[:, :, 0]) / _GAP, 0.0, 1.0)[:, :, None]
    light = ((places - stones[nearest]) @ _LIGHT)[:, :, None]
    colours = body * (_STONE_COLOUR + tones[nearest] + light) + (1.0 - body) * _GAP_COLOUR
    return _to_uint8(colours + generator.normal(0.0, 0.02, (height, width, 1)))


MADE: dict[str, Callable[[int, int, int], np.ndarray]] = {
    "bricks": make_bricks,
    "cobbles": make_cobbles,
}


def _draw_tones(generator: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """How the colour of each stone differs from the mean: (rows, columns, 3)."""
    brightness = generator.normal(0.0, 0.05, (rows, columns, 1))
    return brightness + generator.normal(0.0, 0.02, (rows, columns, 3))


def _to_uint8(colours: np.ndarray) -> np.ndarray:
    return np.uint8(np.rint(np.clip(colours, 0.0, 1.0) * 255.0))
