"""Metrics of inverted images, by name, and mathematics on their latents. See `recovery`."""

import math

import numpy as np

from evaluate.metrics.table import Metric

_RECOVERED = 0.5  # R^2, above which an element counts as recovered
_LEAST = (0.0, math.inf)

INVERSION_METRICS = {
    "real_psnr": Metric("test PSNR", "{:.2f}", better="higher"),
    "real_ssim": Metric("test SSIM", "{:.3f}", better="higher"),
    "real_feature_distance": Metric("test distance", "{:.2f}", better="lower", bounds=_LEAST),
    "fake_psnr": Metric("fake PSNR", "{:.2f}", better="higher"),
    "fake_ssim": Metric("fake SSIM", "{:.3f}", better="higher"),
    "fake_feature_distance": Metric("fake distance", "{:.2f}", better="lower", bounds=_LEAST),
    "recovery": Metric("mean R^2", "{:.2f}", better="higher", bounds=(-math.inf, 1.0)),
    "recovered_elements": Metric("R^2 > 0.5", "{:g}", better="higher", bounds=_LEAST),
    "squared_norm": Metric("|z|^2/d_z", "{:.2f}", bounds=_LEAST),
    "realism": Metric("realism", "{:.2f}", better="higher"),
    "seconds": Metric("s an image", "{:.3g}", better="lower"),
    "passes": Metric("passes", "{:g}", better="lower"),
}


def recovery(latents: np.ndarray, recovered: np.ndarray) -> np.ndarray:
    """R^2 of each element (d_z,): `1 - mean (z - z')^2 / mean z^2`.

    1 is perfect, 0 no better than a constant 0. Input: latents, recovered latents (n, d_z).
    """
    error = np.mean(np.square(latents - recovered), axis=0)
    return 1.0 - error / np.mean(np.square(latents), axis=0)


def mean_recovery(latents: np.ndarray, recovered: np.ndarray) -> float:
    """The mean R^2 of all elements, see `recovery`."""
    return float(np.mean(recovery(latents, recovered)))


def count_recovered(latents: np.ndarray, recovered: np.ndarray) -> int:
    """How many elements have an R^2 above 0.5, see `recovery`."""
    return int(np.sum(recovery(latents, recovered) > _RECOVERED))


def squared_norms(latents: np.ndarray) -> np.ndarray:
    """|z|^2 / d_z (n,) of latents (n, d_z); the prior's mean is 1."""
    return np.mean(np.square(latents), axis=1)
