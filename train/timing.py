"""How long a training step takes on this device. See `time_step`."""

import statistics
import time
from typing import NamedTuple

import tensorflow as tf

from train.loop import REPORT_SECONDS
from train.monitor import STEPS_PER_LOOK

_SHORT_SECONDS = REPORT_SECONDS / STEPS_PER_LOOK  # the loop takes several in one call


class StepTime(NamedTuple):
    """Seconds of a training step: one with R1, one that `train.r1_interval` leaves it out of."""

    with_r1: float
    without_r1: float
    mean: float


def random_batches(config, steps=1):
    """What the training step takes for images: (steps, batch, height, width, 3)."""
    size = config.data.resolution
    shape = (steps, config.train.batch_size, size, size, 3)
    return tf.random.stateless_uniform(shape, (0, 0), -1.0, 1.0)


def time_step(config, trainer, steps=3, seconds=0.0):
    """The `StepTime` of a trainer: medians of as many `steps`, and of more for so many seconds.

    The weights are trained on random images. `without_r1` is None if R1 is in every step.
    """
    interval = config.train.r1_interval
    batches = random_batches(config)

    def call(iterations):
        trainer.optimizer.iterations.assign(iterations)
        start = time.perf_counter()
        trainer.train_steps(batches)["encoder_loss"].numpy()
        return (time.perf_counter() - start) / len(batches)

    def measure(iterations):
        call(iterations)  # which also traces and compiles it
        end, measured = time.perf_counter() + seconds, []
        while len(measured) < steps or time.perf_counter() < end:
            measured.append(call(iterations))
        return statistics.median(measured)

    with_r1 = measure(0)
    if interval > 1:
        without_r1 = measure(1)
        mean = (with_r1 + (interval - 1) * without_r1) / interval
        return StepTime(with_r1, without_r1, mean)
    if with_r1 < _SHORT_SECONDS:
        batches = random_batches(config, STEPS_PER_LOOK)
        with_r1 = measure(0)
    return StepTime(with_r1, None, with_r1)
