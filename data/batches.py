"""Batches of images for TensorFlow. See `Batches`."""

import math
import os

import tensorflow as tf

WORKERS = min(8, os.cpu_count())
_READ_AHEAD = 20  # batches, as long as they are small: the loop may take ten at once
_READ_AHEAD_BYTES = 2**26


class Batches:
    """One pass over images in a given order: float32 (batch, height, width, 3) in [-1, 1].

    The last partial batch is dropped unless `keep_last`. `mirrored`, (n,) bool, says which images
    of the order are mirrored left to right. Iterate as often as needed; the order does not depend
    on `workers`. An image that cannot be read raises UserError, which names it.
    """

    def __init__(self, images, order, batch_size, mirrored=None, keep_last=False, workers=WORKERS):
        kept = len(order) if keep_last else len(order) // batch_size * batch_size
        self.images = images
        self.order = order[:kept]
        self.batch_size = batch_size
        batches = images.to_batches(self.order, batch_size, workers)
        if mirrored is not None:
            choices = tf.data.Dataset.from_tensor_slices(mirrored[:kept]).batch(batch_size)
            batches = tf.data.Dataset.zip(batches, choices).map(_mirror)
        options = tf.data.Options()
        options.autotune.enabled = False  # ending its thread can take seconds at each epoch's end
        batch_bytes = 4 * batch_size * math.prod(batches.element_spec.shape[1:])
        ahead = min(_READ_AHEAD, max(2, _READ_AHEAD_BYTES // batch_bytes))
        self.dataset = batches.prefetch(ahead).with_options(options)

    def __len__(self):
        return -(-len(self.order) // self.batch_size)

    def __iter__(self):
        done = 0
        try:
            for batch in self.dataset:
                yield batch
                done += self.batch_size
        except tf.errors.OpError:  # which has lost the name of the file
            self.images.check(self.order[done:])
            raise


def _mirror(images, choices):
    def mirror(images, choices):  # TensorFlow's own operations take five times as long
        mirrored = images.copy()
        mirrored[choices] = images[choices, :, ::-1]
        return mirrored

    return tf.ensure_shape(tf.numpy_function(mirror, [images, choices], images.dtype), images.shape)
