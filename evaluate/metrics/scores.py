"""Further scores of generated images: Inception Score and Kernel Inception Distance."""

import numpy as np
from numpy.typing import ArrayLike

from evaluate.metrics.checks import check_features, check_widths

_SMALLEST = 1e-16  # smaller probabilities are raised to this before their logarithm is taken


def inception_score(probabilities: ArrayLike, splits: int = 10) -> tuple[float, float]:
    """`exp(mean KL(p(y|x) || p(y)))` (Salimans et al. 2016): mean and deviation over the splits.

    Input: class probabilities (n, classes) of generated images, n >= splits. Raises ValueError for
    rows that do not sum to 1.
    """
    probabilities = check_features(probabilities, least=splits).astype(np.float64)
    if not np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-3) or probabilities.min() < 0:
        raise ValueError("each row must be probabilities that sum to 1")
    scores = []
    for part in np.array_split(probabilities, splits):
        marginal = part.mean(axis=0)
        ratio = np.log(np.maximum(part, _SMALLEST)) - np.log(np.maximum(marginal, _SMALLEST))
        scores.append(np.exp(np.mean(np.sum(part * ratio, axis=1))))
    return float(np.mean(scores)), float(np.std(scores))


def kernel_inception_distance(
    real_features: ArrayLike,
    fake_features: ArrayLike,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """KID (Bińkowski et al. 2018): unbiased squared MMD with the kernel (x.y / width + 1)^3.

    Mean and deviation over random subsets of both sets; the mean may be slightly negative. Each
    subset has `subset_size` samples, or as many as the smaller set if that has fewer.

    Input: features (n, width) and (m, width).
    """
    real, fake = (check_features(x).astype(np.float64) for x in (real_features, fake_features))
    check_widths(real.shape[1], fake.shape[1])
    size = min(subset_size, len(real), len(fake))
    if size < 2 or subsets < 1:
        raise ValueError(f"subsets of 2 or more are needed. Received: {subsets} of {subset_size}")
    random = np.random.default_rng(seed)
    values = [
        _squared_mmd(
            real[random.choice(len(real), size, replace=False)],
            fake[random.choice(len(fake), size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return float(np.mean(values)), float(np.std(values))


def _squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Squared MMD of two sets (size, width), unbiased: no sample is compared with itself."""
    size = len(x)
    within = sum(
        (kernel.sum() - np.trace(kernel)) / (size * (size - 1))
        for kernel in (_kernel(x, x), _kernel(y, y))
    )
    return within - 2.0 * _kernel(x, y).mean()


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1.0) ** 3  # (len(x), len(y))
