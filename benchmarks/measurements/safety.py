"""A training step, the watch over it, and a checkpoint, measured here. See `measure_safety`."""

import statistics
import tempfile
import time
from collections.abc import Sequence

import tensorflow as tf

from benchmarks.measurements import SafetyCost
from config import Config, resolve_run
from train.descent import gradient_norm
from train.monitor import Monitor
from train.runs.checkpoints import Checkpoints
from train.runs.folder import RunFolder
from train.runtime.device import set_up_device
from train.step import Trainer
from train.timing import random_batches

_WARM_UP = 5


def measure_safety(config: Config, run: str, steps: int) -> SafetyCost:
    """Measure on one core, over `steps` steps of a run."""
    set_up_device(resolve_run(config, run).train, threads=1)
    trainer = Trainer(config, run)
    batches = random_batches(trainer)
    unwatched = Trainer(config, run)
    # The watch alone needs these.
    watched = {"loss_scale", *map(gradient_norm, unwatched.parameter_groups)}
    unwatched.descent.gradient_norms = lambda gradients: {}
    unwatched.statistics = [name for name in unwatched.statistics if name not in watched]
    step, unwatched_step = time_in_turn([trainer, unwatched], batches, steps)
    look = time_looks(trainer.train_steps(batches), steps)
    return SafetyCost(step, look + step - unwatched_step, time_checkpoint(trainer, config, run))


def time_in_turn(trainers: Sequence[Trainer], batches: tf.Tensor, steps: int) -> list[float]:
    """The median seconds of each trainer's step; the trainers take their steps in turn.

    `batches` has one batch: (1, batch, height, width, 3).
    """
    seconds: list[list[float]] = [[] for _ in trainers]
    for _ in range(_WARM_UP + steps):
        for trainer, taken in zip(trainers, seconds, strict=True):
            start = time.perf_counter()
            trainer.train_steps(batches)["encoder_loss"].numpy()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken[_WARM_UP:]) for taken in seconds]


def time_looks(step_statistics: dict[str, tf.Tensor], steps: int) -> float:
    """Mean seconds that `Monitor` takes for a step with these statistics."""
    monitor = Monitor()
    start = time.perf_counter()
    for _ in range(steps):
        if monitor.add(0, step_statistics):
            monitor.look()
    return (time.perf_counter() - start) / steps


def time_checkpoint(trainer: Trainer, config: Config, run: str) -> float:
    """Seconds of saving a trainer's first checkpoint."""
    with tempfile.TemporaryDirectory() as path:
        folder = RunFolder(path)
        folder.write_config(resolve_run(config, run), run, 0, "benchmark")
        with folder.locked():
            checkpoints = Checkpoints(trainer, folder)
            start = time.perf_counter()
            checkpoints.save(1)
            return time.perf_counter() - start
