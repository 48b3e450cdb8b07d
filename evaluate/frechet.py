"""The Fréchet distance between two sets of features. See `frechet_distance` and `Moments`."""

import numpy as np
import scipy.linalg

from evaluate.checks import check_features, check_widths

_BLOCK = 1000  # samples converted to float64 at once


class Moments:
    """Mean and covariance of features that come in batches; memory does not grow with their number.

    Batches are merged by the formula of Chan, Golub and LeVeque (1979), in float64, so that the
    result does not depend on their size.
    """

    def __init__(self):
        self.count = 0
        self.mean = 0.0
        self.scatter = 0.0  # sum of outer products of deviations from the mean

    @classmethod
    def of(cls, features):
        features = check_features(features)
        moments = cls()
        for start in range(0, len(features), _BLOCK):
            moments.update(features[start : start + _BLOCK])
        return moments

    def update(self, features):
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

    def covariance(self, ddof=0):
        """Covariance (width, width), divided by count - ddof. Needs two samples or more."""
        if self.count < 2:
            raise ValueError(f"2 samples or more are needed. Received: {self.count}")
        return self.scatter / (self.count - ddof)


def frechet_distance(real_features, fake_features, ddof=0):
    """`||m_r - m_f||^2 + tr(C_r + C_f - 2 (C_r C_f)^(1/2))`, in float64 (Heusel et al. 2017).

    With InceptionV3's features this is the FID. `ddof` 0 divides the covariance by n, as the
    authors' code does; 1 divides by n - 1, as most others do.

    Input: features (n, width) and (m, width), or the `Moments` of such. Raises ValueError for
    different widths, fewer than two samples, NaN or infinity.
    """
    real, fake = (
        x if isinstance(x, Moments) else Moments.of(x) for x in (real_features, fake_features)
    )
    real_covariance, fake_covariance = real.covariance(ddof), fake.covariance(ddof)
    check_widths(len(real_covariance), len(fake_covariance))
    between_means = np.sum(np.square(real.mean - fake.mean))
    traces = np.trace(real_covariance) + np.trace(fake_covariance)
    cross = _trace_of_root_of_product(real_covariance, fake_covariance)
    distance = between_means + traces - 2.0 * cross
    rounding = len(real_covariance) * np.finfo(np.float64).eps * traces
    return float(distance) if distance > rounding else 0.0


def single_image_frechet_distance(features, other_features):
    """SIFID (Shaham et al. 2019): the distance between the spatial features of two images.

    Input: feature maps (height, width, channels) of one layer, see
    `evaluate.features.load_spatial_features`. Each location counts as one sample.
    """
    flat = (np.reshape(x, (-1, np.shape(x)[-1])) for x in (features, other_features))
    return frechet_distance(*flat, ddof=1)


def _trace_of_root_of_product(a, b):
    """tr((ab)^(1/2)) of positive semidefinite a, b: from the symmetric f^T b f with a = f f^T.

    It has the eigenvalues of ab, and they are real whatever the rounding. f is a Cholesky factor
    with pivoting, which a singular covariance has too.
    """
    factor = _factor(a)
    product = factor.T @ (b @ factor)
    eigenvalues = scipy.linalg.eigvalsh((product + product.T) / 2.0, driver="evd")
    return np.sum(np.sqrt(np.clip(eigenvalues, 0.0, None)))


def _factor(a):
    """f (n, rank) with f f^T = a, for a positive semidefinite matrix of any rank."""
    lower, pivots, rank, _ = scipy.linalg.lapack.dpstrf(a, lower=1)
    factor = np.empty((len(a), rank))
    factor[pivots - 1] = np.tril(lower)[:, :rank]
    return factor
