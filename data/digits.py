"""The embedded digits. See `DigitImages`."""

import numpy as np
import tensorflow as tf

from data.images import to_network_range
from data.stored import ArrayImages

DIGITS_TEST_SIZE = 297
_ORDER_SEED = 0


class DigitImages(ArrayImages):
    """Scikit-learn's 1,797 handwritten digits, 8x8 grey, in a fixed shuffled order.

    `pixels` is float32 (n, resolution, resolution, 3) in [-1, 1], `labels` (n,) 0 ... 9.
    """

    def __init__(self, resolution):
        from sklearn.datasets import load_digits  # slow to import, and needed for digits only

        digits = load_digits()
        order = np.random.RandomState(_ORDER_SEED).permutation(len(digits.images))
        grey = digits.images[order][..., None] * (255.0 / 16.0)  # the digits have 17 grey levels
        colour = tf.image.resize(np.repeat(grey, 3, axis=-1), (resolution, resolution))
        super().__init__(to_network_range(colour.numpy()))
        self.labels = digits.target[order]

    def keep(self, indices):
        """Keep these images only."""
        self.pixels, self.labels = self.pixels[indices], self.labels[indices]
