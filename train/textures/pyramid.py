"""SinGAN's pyramid of an image, and the way its authors resize. See `Pyramid` and `resize`."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse

_SUPPORT = 4  # places that the cubic kernel reaches over
_CUBIC = -0.5  # Keys 1981


class Pyramid(NamedTuple):
    """Sizes (height, width) from the coarsest to the finest, each about `ratio` of the next.

    `shrinking` is what an image that is too large is scaled by at first.
    """

    shrinking: float
    ratio: float
    sizes: list[tuple[int, int]]


def plan_pyramid(
    height: int, width: int, shortest: int, longest: int, factor: float = 0.75
) -> Pyramid:
    """The pyramid of an image of this size.

    Its shorter side is `shortest` at the coarsest scale; its longer one at most `longest` at the
    finest. `factor` is the ratio that is wished for.
    """
    down = math.log(factor)
    count = math.ceil(math.log(shortest / min(height, width)) / down) + 1
    longer = max(height, width)
    steps = max(1, count - math.ceil(math.log(min(longest, longer) / longer) / down))
    shrinking = min(longest / longer, 1.0)
    finest = [math.ceil(side * shrinking) for side in (height, width)]
    ratio = (shortest / min(finest)) ** (1 / steps)
    sizes = [
        tuple(math.ceil(side * ratio**power) for side in finest) for power in range(steps, -1, -1)
    ]
    return Pyramid(shrinking, ratio, sizes)


def build_pyramid(image: np.ndarray, pyramid: Pyramid) -> list[np.ndarray]:
    """The image at all scales, from the coarsest: float32 (height, width, 3) in [-1, 1]."""
    finest = resize(image, pyramid.shrinking)
    powers = range(len(pyramid.sizes) - 1, -1, -1)
    return [resize(finest, pyramid.ratio**power) for power in powers]


def resize(
    image: np.ndarray, scale: float = 1.0, period: Sequence[int] | None = None
) -> np.ndarray:
    """An image (height, width, 3) in [-1, 1], scaled; float32 in [-1, 1]. See `scale_levels`.

    As the authors do, it cuts values to 256 levels first, also where `scale` is 1.
    """
    levels = np.float32(255.0) * ((image + np.float32(1.0)) / np.float32(2.0))
    scaled = scale_levels(np.clip(levels, 0.0, 255.0).astype(np.uint8), scale, period)
    return np.clip((np.float32(scaled / 255.0) - np.float32(0.5)) * np.float32(2.0), -1.0, 1.0)


def scale_levels(
    levels: np.ndarray, scale: float = 1.0, period: Sequence[int] | None = None
) -> np.ndarray:
    """An image (height, width, 3) scaled by cubic convolution, in float64, not clipped.

    As MATLAB's imresize, but for the authors' border: the image is mirrored below and to the right,
    and what would lie above or to the left is left out. Sides are rounded up. With `period`, a
    (height, width) in place of `scale`, the image repeats beyond its edges, and so does the result,
    which has this size.
    """
    values = np.float64(levels)
    for axis in range(2):
        length = values.shape[axis]
        wanted = period[axis] if period else math.ceil(length * scale)
        factor = wanted / length if period else scale
        matrix = _weights(length, wanted, factor, is_periodic=period is not None)
        lines = np.moveaxis(values, axis, 0)
        scaled = matrix @ lines.reshape(length, -1)
        values = np.moveaxis(scaled.reshape(wanted, *lines.shape[1:]), 0, axis)
    return values


def _weights(length: int, wanted: int, scale: float, is_periodic: bool) -> scipy.sparse.csr_array:
    """(wanted, length): what each place of the result takes of each place of a line."""
    stretch = min(1.0, scale)  # of the kernel, which also smooths where the image shrinks
    centres = np.arange(1, wanted + 1) / scale + 0.5 * (1.0 - 1.0 / scale) - 1.0
    first = np.floor(centres + 1.0 - 0.5 * _SUPPORT / stretch) - 1
    taps = np.int64(first)[:, None] + np.arange(math.ceil(_SUPPORT / stretch) + 2)
    weights = stretch * _cubic(stretch * (centres[:, None] - taps))
    if is_periodic:
        columns = taps % length
    else:
        weights = np.where(taps < 0, 0.0, weights)
        both = np.r_[np.arange(length), np.arange(length)[::-1]]  # mirrored beyond the end
        columns = both[taps % (2 * length)]
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.arange(wanted).repeat(taps.shape[1])
    shape = (wanted, length)
    return scipy.sparse.csr_array((weights.ravel(), (rows, columns.ravel())), shape)


def _cubic(distance: np.ndarray) -> np.ndarray:
    x = np.abs(distance)
    near = (_CUBIC + 2) * x**3 - (_CUBIC + 3) * x**2 + 1
    far = _CUBIC * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
