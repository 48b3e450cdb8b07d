"""Images of one split: encoded in files, or as an array in memory or on disk.

All have `len`, `read(indices)` -> float32 (n, resolution, resolution, 3) in [-1, 1], `to_batches`
for `data.batches.Batches`, and `check(indices)`, which raises UserError for the first image that
cannot be read.
"""

import os

import numpy as np
import tensorflow as tf

from config import UserError, reason
from data.images import BadImageError, decode, resize, to_decodable, to_network_range
from data.sources import full_name

_READ_AT_ONCE = 32  # images: less calls of Python from TensorFlow


class EncodedImages:
    """Images of a source, decoded and resized whenever they are read; `settings` is config.data."""

    def __init__(self, settings, source, inventory, indices):
        self.settings = settings
        self.source = source
        self.plain = inventory.plain[indices]
        self.digests = inventory.digests[indices]
        self.indices = indices
        self.left_out = len(inventory.problems)  # none of them is among `indices`

    def __len__(self):
        return len(self.indices)

    @property
    def names(self):
        return [self.source.names[index] for index in self.indices]

    def read(self, indices):
        return next(iter(self.to_batches(indices, len(indices), workers=1))).numpy()

    def to_batches(self, order, batch_size, workers):
        """A dataset of float32 batches in this order, read and decoded by `workers` at once."""
        indices = tf.data.Dataset.from_tensor_slices(order).batch(_READ_AT_ONCE)
        contents = indices.map(self._read_contents, workers, deterministic=True).unbatch()
        images = contents.map(self._to_image, 2 * workers, deterministic=True)
        return images.batch(batch_size).map(to_network_range)

    def check(self, indices):
        for index in indices:
            try:
                decode(to_decodable(self._content(index))[0])
            except BadImageError as error:
                self._fail(index, error)
            except tf.errors.OpError:
                self._fail(index, "truncated or damaged")

    def _fail(self, index, problem):
        raise UserError(f"{full_name(self.source, self.indices[index])}: {problem}")

    def _content(self, index):
        return self.source.read(self.indices[index])

    def _read_contents(self, indices):
        def read(indices):
            return np.array([self._read_decodable(index) for index in indices], dtype=object)

        return tf.ensure_shape(tf.numpy_function(read, [indices], tf.string), [None])

    def _read_decodable(self, index):
        content = self._content(index)
        return content if self.plain[index] else to_decodable(content)[0]

    def _to_image(self, content):
        settings = self.settings
        size = settings.resolution
        image = resize(decode(content), size, settings.crop, settings.antialias)
        return tf.ensure_shape(image, (size, size, 3))


class ArrayImages:
    """Images in memory: `pixels` is float32 (n, resolution, resolution, 3) in [-1, 1]."""

    def __init__(self, pixels):
        self.pixels = pixels

    def __len__(self):
        return len(self.pixels)

    def read(self, indices):
        return self.pixels[indices]

    def to_batches(self, order, batch_size, workers):
        """A dataset of float32 batches in this order; `workers` batches are read at once."""
        shape = (None, *self.read(order[:1]).shape[1:])

        def read(indices):
            return tf.ensure_shape(tf.numpy_function(self.read, [indices], tf.float32), shape)

        indices = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
        return indices.map(read, workers, deterministic=True)

    def check(self, indices):
        """Nothing can be wrong with them."""


class MemoryImages(ArrayImages):
    """Images in memory: `pixels` is uint8 (n, resolution, resolution, 3)."""

    def read(self, indices):
        return to_network_range(self.pixels[indices])


class DiskImages(ArrayImages):
    """Images in a .npy file: uint8 (n, resolution, resolution, 3).

    Read where they lie rather than mapped into memory, where they would count as the process's own.
    """

    def __init__(self, path, offset, shape):
        self.path = path
        self.file = os.open(path, os.O_RDONLY)
        self.offset = offset
        self.shape = shape

    def __len__(self):
        return self.shape[0]

    def read(self, indices):
        rows = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for row, index in zip(rows, indices, strict=True):
            if os.preadv(self.file, [row], self.offset + int(index) * row.nbytes) != row.nbytes:
                raise UserError(f"{self.path}: truncated while in use")
        return to_network_range(rows)

    def check(self, indices):
        for index in indices:
            try:
                self.read([index])
            except OSError as error:
                raise UserError(f"{self.path}: {reason(error)}") from error
