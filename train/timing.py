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


def median_seconds(function, calls=3):
    """Of so many calls of a function."""
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def time_step(config, trainer, calls=3):
    """The `StepTime` of a trainer, from so many calls of each kind; steps are taken as in training.

    The weights are trained on random images. `without_r1` is None if R1 is in every step.
    """
    interval = config.train.r1_interval

    def measure(batches, iterations, calls_at_once=1):
        """The median, over `calls`, of the seconds of a step, from an iteration of Adam on."""

        def call():
            trainer.optimizer.iterations.assign(iterations)
            for _ in range(calls_at_once):
                trainer.train_steps(batches)["encoder_loss"].numpy()

        call()  # which also traces and compiles it
        return median_seconds(call, calls) / (calls_at_once * len(batches))

    one = random_batches(config)
    with_r1 = mean = measure(one, 0)
    without_r1 = None
    if interval > 1:
        without_r1 = measure(one, 1)
        mean = (with_r1 + (interval - 1) * without_r1) / interval
    if mean < _SHORT_SECONDS:
        mean = measure(random_batches(config, STEPS_PER_LOOK), 0, calls_at_once=interval)
    return StepTime(with_r1, without_r1, mean)
