"""How alike the patches of two images are, for textures. See `patch_distances` and `copying`."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min

_SIZE = 5  # pixels
_PROJECTIONS, _QUANTILES = 512, 1024
_SCALES = 3
_MOST_PATCHES = 2**14  # that are compared with each other


def patch_distances(image: np.ndarray, other: np.ndarray) -> list[float]:
    """The distance between the laws of all 5x5 patches, at scales 1, 1/2 and 1/4.

    The root mean square difference of 1024 quantiles of 512 fixed random unit projections: a sliced
    Wasserstein distance. Scales are means of 2x2 pixels. NaN where an image is too small.

    Input: images (height, width, 3) in [0, 1], of any two sizes.
    """
    directions = np.random.default_rng(0).standard_normal((_SIZE * _SIZE * 3, _PROJECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    distances = []
    for _ in range(_SCALES):
        if min(*image.shape[:2], *other.shape[:2]) < _SIZE:
            distances.append(float("nan"))
            continue
        first, second = (_project(x, directions) for x in (image, other))
        distances.append(float(np.sqrt(np.mean(np.square(first - second)))))
        image, other = _halve(image), _halve(other)
    return distances


class Copying(NamedTuple):
    """Where an image's 5x5 patches come from."""

    used: float  # share of the exemplar's patches that are the nearest one of some patch
    distance: float  # mean root mean square difference between patches and their nearest


def measure_copying(image: np.ndarray, exemplar: np.ndarray) -> Copying:
    """Find the exemplar's nearest patch of each patch of an image; of large images, of a subset.

    Input: images (height, width, 3) in [0, 1], at least 5 pixels high and wide.
    """
    patches, candidates = _extract(image), _extract(exemplar)
    nearest, distances = pairwise_distances_argmin_min(patches, candidates)
    used = len(np.unique(nearest)) / len(candidates)
    return Copying(used, float(np.mean(distances)) / patches.shape[1] ** 0.5)


def _extract(image: np.ndarray) -> np.ndarray:
    """All patches (n, 75), float32, of a large image a fixed random subset.

    Their order is channel, row, column.
    """
    windows = np.lib.stride_tricks.sliding_window_view(image, (_SIZE, _SIZE), axis=(0, 1))
    rows, columns = windows.shape[:2]
    places = np.arange(rows * columns)
    if len(places) > _MOST_PATCHES:
        places = np.random.default_rng(0).choice(len(places), _MOST_PATCHES, replace=False)
    chosen = windows[places // columns, places % columns]
    return chosen.reshape(len(places), -1).astype(np.float32)


def _project(image: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The quantiles (512, 1024) of the patches' projections."""
    patches = _extract(image)
    projected = np.sort(directions.T.astype(np.float32) @ patches.T)  # (512, patches)
    places = (np.arange(_QUANTILES) + 0.5) / _QUANTILES * (len(patches) - 1)
    below = places.astype(int)
    above = np.minimum(below + 1, len(patches) - 1)
    return projected[:, below] + (places - below) * (projected[:, above] - projected[:, below])


def _halve(image: np.ndarray) -> np.ndarray:
    """Means of 2x2 pixels; an odd last row or column is left out."""
    height, width = (n // 2 for n in image.shape[:2])
    blocks = image[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1)
    return blocks.mean(axis=(1, 3))
