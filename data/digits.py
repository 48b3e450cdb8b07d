"""Scikit-learn's embedded handwritten digits. See `DigitImages`."""

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from data.images import to_network_range
from data.stored import ArrayImages

DIGITS_TEST_SIZE = 297
_ORDER_SEED = 0


class DigitImages(ArrayImages):
    """Scikit-learn's 1,797 handwritten digits, 8x8 grey, in a fixed shuffled order.

    `pixels` is float32 (n, resolution, resolution, 3) in [-1, 1]; `labels` is (n,), 0 to 9;
    `digests` is (n, 8, 8) uint8, the grey levels themselves.
    """

    def __init__(self, resolution: int) -> None:
        digits = load_digits()
        order = np.random.RandomState(_ORDER_SEED).permutation(len(digits.images))
        grey = digits.images[order][..., None] * (255.0 / 16.0)  # the digits have 17 grey levels
        colour = tf.image.resize(np.repeat(grey, 3, axis=-1), (resolution, resolution))
        super().__init__(to_network_range(colour.numpy()))
        self.labels = digits.target[order]
        self.digests = np.uint8(digits.images[order])

    def keep(self, indices: np.ndarray | slice) -> None:
        """Drop all images but those at `indices`."""
        self.pixels, self.labels = self.pixels[indices], self.labels[indices]
        self.digests = self.digests[indices]
