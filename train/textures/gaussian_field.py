"""Gaussian fields with the mean and autocovariance of an image (ADSN, Galerne et al. 2011)."""

import numpy as np
import scipy.fft

from train.textures.patches import extract_patches


def compute_texton(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean colour (3,), texton (height, width, 3)) of an image (height, width, 3)."""
    mean = image.mean(axis=(0, 1))
    return mean, (image - mean) / np.sqrt(image.shape[0] * image.shape[1])


def draw_field(
    mean: np.ndarray,
    texton: np.ndarray,
    height: int,
    width: int,
    generator: np.random.Generator,
    is_periodic: bool = False,
) -> np.ndarray:
    """A Gaussian field (height, width, 3), float64, from fresh noise; see `field_from_noise`."""
    margins = (0, 0) if is_periodic else texton.shape[:2]  # then what wraps round is cut off
    noise = generator.standard_normal((height + margins[0], width + margins[1]))
    return field_from_noise(mean, texton, noise)[:height, :width]


def field_from_noise(mean: np.ndarray, texton: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """The mean plus the circular convolution of the texton with one noise for all channels.

    Input: mean (3,), texton (h, w, 3), noise (height, width). Output: (height, width, 3).
    """
    wrapped = np.zeros((*noise.shape, texton.shape[2]))
    rows, columns = (
        np.arange(n) % size for n, size in zip(texton.shape, noise.shape, strict=False)
    )
    np.add.at(wrapped, (rows[:, None], columns), texton)
    spectrum = scipy.fft.rfft2(wrapped, axes=(0, 1)) * scipy.fft.rfft2(noise)[:, :, None]
    return mean + scipy.fft.irfft2(spectrum, s=noise.shape, axes=(0, 1))


def patch_covariance(texton: np.ndarray, size: int) -> np.ndarray:
    """The covariance of a field's patches (size * size * 3, size * size * 3).

    Cov(U_a(x), U_b(y)) = sum_p t_a(p) t_b(p + y - x); the order is row, column, channel.
    """
    margin = size - 1
    padded = np.pad(texton, ((margin, margin), (margin, margin), (0, 0)))
    patches = extract_patches(padded, size)
    patches = patches.reshape(-1, patches.shape[-1])
    return patches.T @ patches
