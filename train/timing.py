"""How long a training step takes on this device. See `time_step`."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from train.choices import lazy_intervals
from train.clock import MOST_SECONDS_A_CALL
from train.monitor import STEPS_PER_LOOK
from train.step import Trainer

_SHORT_SECONDS = MOST_SECONDS_A_CALL / STEPS_PER_LOOK  # the loop takes several in one call


class StepTime(NamedTuple):
    """Seconds of a training step: with R1, without it (None if every step has it), and the mean.

    Other lazy penalties count as R1 does; the shortest of their intervals stands for all. A step
    with several updates of the discriminator may have R1 in some of them: then the first two are of
    a step with more updates with R1, and of one with fewer.
    """

    with_r1: float
    without_r1: float | None
    mean: float


def random_batches(trainer: Trainer, steps: int = 1) -> tf.Tensor:
    """Random images in [-1, 1] for `Trainer.train_steps`: (steps, n, height, width, 3).

    n is the number of images of a step, in all processes.
    """
    shape = (steps, trainer.images_per_step, *trainer.networks.image_shape)
    return tf.random.stateless_uniform(shape, (0, 0), -1.0, 1.0)


def median_seconds(function: Callable[[], object], calls: int = 3) -> float:
    """Median wall-clock seconds over `calls` calls."""
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def time_step(trainer: Trainer, calls: int = 3) -> StepTime:
    """The `StepTime` of a trainer, from `calls` calls of each kind.

    It takes steps as a training does, on random images. Networks that grow have their full size.
    """
    trainer.growth.finish()
    interval = min(lazy_intervals(trainer.penaliser.turns), default=1)

    def measure(batches: tf.Tensor, iterations: int, calls_at_once: int = 1) -> float:
        """Median seconds of a step that begins with Adam's iteration number `iterations`."""

        def call() -> None:
            for optimizer in trainer.descent.parts().values():
                optimizer.iterations.assign(iterations)
            for _ in range(calls_at_once):
                next(iter(trainer.train_steps(batches).values())).numpy()

        call()  # which also traces and compiles it
        return median_seconds(call, calls) / (calls_at_once * len(batches))

    one = random_batches(trainer)
    with_r1 = mean = measure(one, 0)
    without_r1 = None
    turns = trainer.train_config.discriminator_steps / interval  # of a step, in the mean
    if turns % 1:  # some steps have one turn more than others
        without_r1 = measure(one, 1)
        mean = without_r1 + turns % 1 * (with_r1 - without_r1)
    if mean < _SHORT_SECONDS:
        mean = measure(random_batches(trainer, STEPS_PER_LOOK), 0, calls_at_once=interval)
    return StepTime(with_r1, without_r1, mean)
