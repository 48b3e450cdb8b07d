"""How much two sets of features overlap, by nearest neighbours. See `neighbour_metrics`."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from evaluate.metrics.checks import check_features, check_widths

NEIGHBOURS = 3  # k, as in the authors' later code
_BLOCK = 1000  # rows of a distance matrix held at once


class NeighbourMetrics(NamedTuple):
    """A value for each sample; the metric is the mean of the array.

    precision (m,): is this fake sample within the k-neighbourhood of any real one? (Kynkäänniemi et
        al. 2019)
    recall (n,): is this real sample within the k-neighbourhood of any fake one?
    density (m,): the number of real k-neighbourhoods that hold this fake sample, divided by k
        (Naeem et al. 2020)
    coverage (n,): does the k-neighbourhood of this real sample hold any fake one?
    """

    precision: np.ndarray
    recall: np.ndarray
    density: np.ndarray
    coverage: np.ndarray


def precision_recall(
    real_features: ArrayLike, fake_features: ArrayLike, k: int = NEIGHBOURS
) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019): (precision, recall) in [0, 1].

    Input: features (n, width) and (m, width). Raises ValueError as `neighbour_metrics` does.
    """
    metrics = neighbour_metrics(real_features, fake_features, k)
    return float(metrics.precision.mean()), float(metrics.recall.mean())


def neighbour_metrics(
    real_features: ArrayLike, fake_features: ArrayLike, k: int = NEIGHBOURS
) -> NeighbourMetrics:
    """Precision, recall, density and coverage of each sample.

    The k-neighbourhood of a sample is the ball around it that reaches to its k-th nearest neighbour
    in its own set. Distances are computed in float64, a block of rows at a time.

    Input: features (n, width) and (m, width). Raises ValueError for different widths, k or fewer
    samples, NaN or infinity.
    """
    real, fake = (check_features(x, least=k + 1) for x in (real_features, fake_features))
    check_widths(real.shape[1], fake.shape[1])
    center = real.mean(axis=0, dtype=np.float64)  # smaller numbers lose less to cancellation
    real, fake = real - center, fake - center
    real_radii, fake_radii = _squared_radii(real, k), _squared_radii(fake, k)
    precision, density = np.empty(len(fake)), np.empty(len(fake))
    recall, coverage = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for rows, distances in _squared_distances(fake, real):  # (block, n)
        in_real = distances <= real_radii
        precision[rows] = in_real.any(axis=1)
        density[rows] = in_real.sum(axis=1) / k
        recall |= (distances <= fake_radii[rows, None]).any(axis=0)
        coverage |= in_real.any(axis=0)
    return NeighbourMetrics(precision, recall.astype(float), density, coverage.astype(float))


def _squared_radii(features: np.ndarray, k: int) -> np.ndarray:
    """Squared distance (n,) of each sample to its k-th nearest neighbour, itself not counted."""
    radii = np.empty(len(features))
    for rows, distances in _squared_distances(features, features):
        radii[rows] = np.partition(distances, k, axis=1)[:, k]  # the sample itself is number 0
    return radii


def _squared_distances(left: np.ndarray, right: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (rows of `left`, their squared distances (len(rows), len(right))), block by block."""
    right_norms = np.einsum("ij,ij->i", right, right)
    for start in range(0, len(left), _BLOCK):
        rows = slice(start, start + _BLOCK)
        norms = np.einsum("ij,ij->i", left[rows], left[rows])
        distances = norms[:, None] + right_norms - 2.0 * (left[rows] @ right.T)
        yield rows, np.maximum(distances, 0.0)
