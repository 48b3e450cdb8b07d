"""The Fréchet distance between two sets of features. See `frechet_distance`."""

import numpy as np
import scipy.linalg


def frechet_distance(real_features, fake_features, ddof=0):
    """`||m_r - m_f||^2 + tr(C_r + C_f - 2 (C_r C_f)^(1/2))`, in float64 (Heusel et al. 2017).

    With InceptionV3's features this is the FID. `ddof` 0 divides the covariance by n, as the
    authors' code does; 1 divides by n - 1, as most others do.

    Input: features (n, d) and (m, d). Raises ValueError for other shapes, fewer than two samples or
    values that are not finite.
    """
    real_mean, real_covariance = _moments(real_features, ddof)
    fake_mean, fake_covariance = _moments(fake_features, ddof)
    if real_mean.shape != fake_mean.shape:
        raise ValueError(
            "features must have one width. "
            f"Received: {len(real_mean)} (real) and {len(fake_mean)} (fake)"
        )
    between_means = np.sum(np.square(real_mean - fake_mean))
    traces = np.trace(real_covariance) + np.trace(fake_covariance)
    cross = _trace_of_root_of_product(real_covariance, fake_covariance)
    return float(max(0.0, between_means + traces - 2.0 * cross))


def _moments(features, ddof):
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(
            f"features must be (samples, width), two samples or more. Received: {features.shape}"
        )
    if not np.all(np.isfinite(features)):
        raise ValueError("features must be finite. Received: NaN or infinity")
    return features.mean(axis=0), np.cov(features, rowvar=False, ddof=ddof).reshape(
        features.shape[1], features.shape[1]
    )


def _trace_of_root_of_product(a, b):
    """tr((ab)^(1/2)) of positive semidefinite a, b, from the symmetric matrix a^(1/2) b a^(1/2).

    It has the eigenvalues of ab, and its are real whatever the rounding.
    """
    values, vectors = scipy.linalg.eigh(a, driver="evd")
    root = vectors * np.sqrt(np.clip(values, 0.0, None)) @ vectors.T
    product = root @ b @ root
    eigenvalues = scipy.linalg.eigvalsh((product + product.T) / 2.0)
    return np.sum(np.sqrt(np.clip(eigenvalues, 0.0, None)))
