"""The Fréchet distance between two sets of features. See `frechet_distance` and `Moments`."""

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from evaluate.metrics.checks import check_features, check_widths

_BLOCK = 1000  # samples converted to float64 at once


class Moments:
    """Mean (width,) and covariance (width, width) of features that come in batches.

    Only sums are kept, so that memory does not grow with the number of samples. Batches are merged
    by the formula of Chan, Golub and LeVeque (1979), in float64, so that the result does not depend
    on the batch size.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: np.ndarray | float = 0.0
        self.scatter: np.ndarray | float = 0.0  # sum of outer products of deviations from the mean

    @classmethod
    def from_features(cls, features: ArrayLike) -> "Moments":
        """The moments of features (n, width). Raises ValueError as `check_features` does."""
        features = check_features(features)
        moments = cls()
        for start in range(0, len(features), _BLOCK):
            moments.update(features[start : start + _BLOCK])
        return moments

    def update(self, features: ArrayLike) -> None:
        """Add a batch of features (n, width). Raises ValueError for NaN or infinity."""
        features = check_features(features, least=1).astype(np.float64)
        mean = features.mean(axis=0)
        deviations = features - mean
        difference = mean - self.mean
        total = self.count + len(features)
        between = np.outer(difference, difference) * (self.count * len(features) / total)
        self.scatter = self.scatter + deviations.T @ deviations + between
        self.mean = self.mean + difference * (len(features) / total)
        self.count = total

    def covariance(self, ddof: int = 0) -> np.ndarray:
        """Covariance (width, width), divided by count - ddof. Needs two samples or more."""
        if self.count < 2:
            raise ValueError(f"2 samples or more are needed. Received: {self.count}")
        return self.scatter / (self.count - ddof)


def frechet_distance(
    real_features: ArrayLike | Moments, fake_features: ArrayLike | Moments, ddof: int = 0
) -> float:
    """`||m_r - m_f||^2 + tr(C_r + C_f - 2 (C_r C_f)^(1/2))`, in float64 (Heusel et al. 2017).

    With InceptionV3's features this is the FID. `ddof` 0 divides the covariance by n, as the
    authors' code does; 1 divides by n - 1, as most others do.

    Input: features (n, width) and (m, width), or their `Moments`. Raises ValueError for different
    widths, fewer than two samples, NaN or infinity.
    """
    real, fake = (
        x if isinstance(x, Moments) else Moments.from_features(x)
        for x in (real_features, fake_features)
    )
    real_covariance, fake_covariance = real.covariance(ddof), fake.covariance(ddof)
    check_widths(len(real_covariance), len(fake_covariance))
    between_means = np.sum(np.square(real.mean - fake.mean))
    traces = np.trace(real_covariance) + np.trace(fake_covariance)
    cross = _trace_of_product_root(real_covariance, fake_covariance)
    distance = between_means + traces - 2.0 * cross
    rounding = len(real_covariance) * np.finfo(np.float64).eps * traces
    return float(distance) if distance > rounding else 0.0


def single_image_frechet_distance(features: ArrayLike, other_features: ArrayLike) -> float:
    """SIFID (Shaham et al. 2019): the distance between the spatial features of two images.

    Input: feature maps (height, width, channels) of one layer, see
    `evaluate.features.networks.load_spatial_features`. Each location counts as one sample.
    """
    samples = (
        np.reshape(x, (-1, np.shape(x)[-1]))  # (height * width, channels)
        for x in (features, other_features)
    )
    return frechet_distance(*samples, ddof=1)


def _trace_of_product_root(a: np.ndarray, b: np.ndarray) -> float:
    """tr((ab)^(1/2)) for positive semidefinite a and b (n, n).

    With a = f f^T, the symmetric f^T b f has the eigenvalues of ab, apart from zeros. Being
    symmetric, it has real ones whatever the rounding.
    """
    factor = _cholesky_factor(a)
    product = factor.T @ (b @ factor)
    eigenvalues = scipy.linalg.eigvalsh((product + product.T) / 2.0, driver="evd")
    return np.sum(np.sqrt(np.clip(eigenvalues, 0.0, None)))


def _cholesky_factor(a: np.ndarray) -> np.ndarray:
    """f (n, rank) with f f^T = a, for positive semidefinite a (n, n).

    With pivoting the factor exists for a singular covariance too.
    """
    lower, pivots, rank, _ = scipy.linalg.lapack.dpstrf(a, lower=1)
    factor = np.empty((len(a), rank))
    factor[pivots - 1] = np.tril(lower)[:, :rank]
    return factor
