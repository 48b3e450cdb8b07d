"""Checks of input that the metrics share, so that they report the same mistake alike."""

import numpy as np
from numpy.typing import ArrayLike

RANGE_TOLERANCE = 1e-3


def check_features(features: ArrayLike, least: int = 2) -> np.ndarray:
    """Return features as an array (n, width).

    Raises ValueError for another rank, fewer than `least` samples, NaN or infinity.
    """
    features = np.asarray(features)
    if features.ndim != 2 or len(features) < least:
        raise ValueError(
            f"features must be (samples, width), {least} samples or more. "
            f"Received: {features.shape}"
        )
    if not np.all(np.isfinite(features)):
        raise ValueError("features must be finite. Received: NaN or infinity")
    return features


def check_widths(real_width: int, fake_width: int) -> None:
    """Raise ValueError unless real and fake features have the same width."""
    if real_width != fake_width:
        raise ValueError(
            f"features must have one width. Received: {real_width} (real) and {fake_width} (fake)"
        )


def check_images(images: ArrayLike) -> None:
    """Raise ValueError unless all values of the images are finite and in [-1, 1]."""
    low, high = np.min(images), np.max(images)
    if not (low >= -1.0 - RANGE_TOLERANCE and high <= 1.0 + RANGE_TOLERANCE):
        raise ValueError(f"images must be in [-1, 1]. Received values from {low} to {high}")
