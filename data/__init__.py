"""Images for training and testing. See `load`."""

import os

import numpy as np
import tensorflow as tf

from config import UserError
from data.sources import open_images

_PARALLEL_READS = min(8, os.cpu_count())
_READ_AHEAD = 2
LEAST_SAMPLES = 4  # a sample and its 3 nearest neighbours


class Batches:
    """One pass over images in a given order: float32 (batch, height, width, 3) in [-1, 1].

    The last partial batch is dropped. Iterate as often as needed; an unreadable file raises
    UserError.
    """

    def __init__(self, images, batch_size, order, resolution):
        self.images = images
        self.shape = (batch_size, resolution, resolution, 3)
        self.length = len(order) // batch_size
        indices = tf.data.Dataset.from_tensor_slices(order).batch(batch_size, drop_remainder=True)
        options = tf.data.Options()
        options.autotune.enabled = False  # ending its thread can take seconds at each epoch's end
        batches = indices.map(self._read, num_parallel_calls=_PARALLEL_READS, deterministic=True)
        self.dataset = batches.prefetch(_READ_AHEAD).with_options(options)
        self.failure = None

    def _read(self, indices):
        batch = tf.numpy_function(self._read_or_note, [indices], tf.float32)
        return tf.ensure_shape(batch, self.shape)

    def _read_or_note(self, indices):
        try:
            return self.images.read(indices)
        except UserError as error:
            self.failure = error  # TensorFlow would pass on its text only, within a traceback
            raise

    def __len__(self):
        return self.length

    def __iter__(self):
        try:
            yield from self.dataset
        except tf.errors.OpError:
            if self.failure:
                raise self.failure from None
            raise


def load(config, split, seed=0, epoch=0):
    """One epoch of the "train" or "test" split of `config.data`, as `Batches`.

    Training batches are in an order that depends on `seed` and `epoch` alone, test batches in the
    order of the source. Raises UserError for unreadable data or less than one batch of it.
    """
    images = open_images(config.data, split)
    check_size(config, split, len(images))
    if split == "train":
        return shuffled_batches(config, images, seed, epoch)
    return ordered_batches(config, images)


def check_size(config, split, size):
    """Raise UserError if a split is smaller than one batch."""
    section = config.train if split == "train" else config.evaluate
    if size < section.batch_size:
        raise UserError(
            f"data.source: {config.data.source} has {size} images to {split}, fewer than one batch "
            f"of {section.batch_size}"
        )
    if config.evaluate.features != "none" and size < LEAST_SAMPLES:
        raise UserError(
            f"data.source: {config.data.source} has {size} images to {split}; to compare features "
            f"takes {LEAST_SAMPLES} or more"
        )


def shuffled_batches(config, images, seed, epoch):
    """The batches of one epoch, in an order that depends on `seed` and `epoch` alone."""
    order = np.random.default_rng([seed, epoch]).permutation(len(images))
    return Batches(images, config.train.batch_size, order, config.data.resolution)


def ordered_batches(config, images):
    """The batches of the test split, in the order of the source."""
    order = np.arange(len(images))
    return Batches(images, config.evaluate.batch_size, order, config.data.resolution)
