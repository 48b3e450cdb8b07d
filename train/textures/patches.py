"""Patches of an image, as vectors and laid over each other. See `extract_patches`."""

import numpy as np


def extract_patches(image: np.ndarray, size: int, is_periodic: bool = False) -> np.ndarray:
    """All patches of an image (height, width, 3) as vectors in the order row, column, channel.

    Output: (rows, columns, size * size * 3): a patch for each position where it fits, or for each
    pixel of an image that repeats.
    """
    if is_periodic:
        image = np.pad(image, ((0, size - 1), (0, size - 1), (0, 0)), mode="wrap")
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(0, 1))
    windows = np.moveaxis(windows, 2, -1)  # (rows, columns, size, size, 3)
    return windows.reshape(*windows.shape[:2], -1)


def average_patches(
    chosen: np.ndarray, patches: np.ndarray, stride: int, is_periodic: bool = False
) -> np.ndarray:
    """An image of overlapping patches, each pixel the mean of those that cover it.

    Input: the index of the patch at each position (rows, columns), `stride` pixels apart; patches
    (n, size, size, 3). Output: (height, width, 3), which ends with the last patch or, if it
    repeats, has `stride` pixels for each position.
    """
    size = patches.shape[1]
    reach = [stride * (n - 1) + size for n in chosen.shape]
    total = np.zeros((*reach, patches.shape[3]))
    count = np.zeros((*reach, 1))
    for row in range(size):
        for column in range(size):
            covered = (
                slice(row, row + stride * chosen.shape[0], stride),
                slice(column, column + stride * chosen.shape[1], stride),
            )
            total[covered] += patches[chosen, row, column]
            count[covered] += 1
    if is_periodic:
        total, count = (
            _fold(_fold(x, chosen.shape[0] * stride), chosen.shape[1] * stride, 1)
            for x in (total, count)
        )
    return total / count


def _fold(image: np.ndarray, length: int, axis: int = 0) -> np.ndarray:
    """Add what reaches beyond `length` on an axis to the beginning."""
    image = np.moveaxis(image, axis, 0)
    folded = image[:length].copy()
    beyond = image[length:]
    folded[: len(beyond)] += beyond
    return np.moveaxis(folded, 0, axis)
