"""Batches of images for TensorFlow. See `Batches`."""

import math
import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from data.stored import Images

PARALLEL_READS = min(8, os.cpu_count() or 1)
_READ_AHEAD = 20  # batches, while they are small: the training loop may take ten at once
_READ_AHEAD_BYTES = 2**26


class Batches:
    """One pass over images in a given order: float32 (batch, height, width, 3) in [-1, 1].

    The last partial batch is dropped unless `keep_last`. `mirrored`, (n,) bool, says which images
    of `order`, (n,), are mirrored left to right. A `Batches` can be iterated any number of times.
    The order of the images does not depend on `parallel_reads`. An image that cannot be read raises
    a UserError that names it.
    """

    def __init__(
        self,
        images: Images,
        order: np.ndarray,
        batch_size: int,
        mirrored: np.ndarray | None = None,
        keep_last: bool = False,
        parallel_reads: int = PARALLEL_READS,
    ) -> None:
        count = len(order) if keep_last else len(order) // batch_size * batch_size
        self.images = images
        self.order = order[:count]
        self.batch_size = batch_size
        batches = images.to_batches(self.order, batch_size, parallel_reads)
        if mirrored is not None:
            chosen = tf.data.Dataset.from_tensor_slices(mirrored[:count]).batch(batch_size)
            batches = tf.data.Dataset.zip(batches, chosen).map(_mirror_chosen)
        options = tf.data.Options()
        options.autotune.enabled = False  # ending its thread can take seconds at each epoch's end
        batch_bytes = 4 * batch_size * math.prod(batches.element_spec.shape[1:])
        ahead = min(_READ_AHEAD, max(2, _READ_AHEAD_BYTES // batch_bytes))
        self.dataset = batches.prefetch(ahead).with_options(options)

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[tf.Tensor]:
        done = 0
        try:
            for batch in self.dataset:
                yield batch
                done += self.batch_size
        except tf.errors.OpError:  # TensorFlow's error does not name the file
            self.images.check(self.order[done:])
            raise


def _mirror_chosen(images: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """Mirror the images, (batch, height, width, 3), for which `chosen`, (batch,), is true."""

    def mirror(images: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        mirrored = images.copy()
        mirrored[chosen] = images[chosen, :, ::-1]
        return mirrored

    # NumPy takes a fifth of the time that TensorFlow's own operations take.
    mirrored = tf.numpy_function(mirror, [images, chosen], images.dtype)
    return tf.ensure_shape(mirrored, images.shape)
