"""What every metric asks of its input, so that each says the same of what is wrong."""

import numpy as np

RANGE_TOLERANCE = 1e-3


def check_features(features, least=2):
    """Features as an array (n, width) of finite numbers, n >= least; otherwise ValueError."""
    features = np.asarray(features)
    if features.ndim != 2 or len(features) < least:
        raise ValueError(
            f"features must be (samples, width), {least} samples or more. "
            f"Received: {features.shape}"
        )
    if not np.all(np.isfinite(features)):
        raise ValueError("features must be finite. Received: NaN or infinity")
    return features


def check_widths(real_width, fake_width):
    """Raise ValueError unless real and fake features have the same width."""
    if real_width != fake_width:
        raise ValueError(
            f"features must have one width. Received: {real_width} (real) and {fake_width} (fake)"
        )


def check_images(images):
    """Raise ValueError unless all values of the images are finite and in [-1, 1]."""
    low, high = np.min(images), np.max(images)
    if not (low >= -1.0 - RANGE_TOLERANCE and high <= 1.0 + RANGE_TOLERANCE):
        raise ValueError(f"images must be in [-1, 1]. Received values from {low} to {high}")
