"""How much two sets of features overlap, by nearest neighbours. See `neighbour_metrics`."""

from typing import NamedTuple

import numpy as np

from evaluate.checks import check_features, check_widths

NEIGHBOURS = 3  # k, as in the authors' later code
_BLOCK = 1000  # rows of a distance matrix held at once


class NeighbourMetrics(NamedTuple):
    """Per-sample values; the metric is the mean of each array.

    precision: is this fake within the k-neighbourhood of any real one? (Kynkäänniemi et al. 2019)
    recall: is this real one within the k-neighbourhood of any fake?
    density: of how many real k-neighbourhoods is this fake in, divided by k? (Naeem et al. 2020)
    coverage: is there any fake within this real one's k-neighbourhood?
    """

    precision: np.ndarray
    recall: np.ndarray
    density: np.ndarray
    coverage: np.ndarray


def precision_recall(real_features, fake_features, k=NEIGHBOURS):
    """Improved precision and recall (Kynkäänniemi et al. 2019): (precision, recall) in [0, 1].

    Input: features (n, width) and (m, width), more than k of each. Raises ValueError otherwise.
    """
    metrics = neighbour_metrics(real_features, fake_features, k)
    return float(metrics.precision.mean()), float(metrics.recall.mean())


def neighbour_metrics(real_features, fake_features, k=NEIGHBOURS):
    """Precision, recall, density and coverage of each sample, as `NeighbourMetrics`.

    A sample's k-neighbourhood is the ball that reaches to its k-th nearest neighbour of its own
    set. Distances are computed in float64, a block of rows at a time. Raises ValueError for
    different widths, k or fewer samples, NaN or infinity.
    """
    real, fake = (check_features(x, least=k + 1) for x in (real_features, fake_features))
    check_widths(real.shape[1], fake.shape[1])
    center = real.mean(axis=0, dtype=np.float64)  # smaller numbers lose less to cancellation
    real, fake = real - center, fake - center
    real_radii, fake_radii = _squared_radii(real, k), _squared_radii(fake, k)
    precision, density = np.empty(len(fake)), np.empty(len(fake))
    recall, coverage = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for rows, distances in _squared_distances(fake, real):
        in_real = distances <= real_radii
        precision[rows] = in_real.any(axis=1)
        density[rows] = in_real.sum(axis=1) / k
        recall |= (distances <= fake_radii[rows, None]).any(axis=0)
        coverage |= in_real.any(axis=0)
    return NeighbourMetrics(precision, recall.astype(float), density, coverage.astype(float))


def _squared_radii(features, k):
    """Squared distance of each sample to its k-th nearest neighbour, itself not counted."""
    radii = np.empty(len(features))
    for rows, distances in _squared_distances(features, features):
        radii[rows] = np.partition(distances, k, axis=1)[:, k]
    return radii


def _squared_distances(left, right):
    """Yield (rows, squared distances (len(rows), len(right))) block by block."""
    right_norms = np.einsum("ij,ij->i", right, right)
    for start in range(0, len(left), _BLOCK):
        rows = slice(start, start + _BLOCK)
        norms = np.einsum("ij,ij->i", left[rows], left[rows])
        distances = norms[:, None] + right_norms - 2.0 * (left[rows] @ right.T)
        yield rows, np.maximum(distances, 0.0)
