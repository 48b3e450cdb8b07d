"""What it costs that a run is deterministic, watched for NaN and saved.

    python -m benchmarks.safety [CONFIG] [--set KEY=VALUE]... [--steps 200]

Seconds of a training step on one core with and without `train.deterministic`, measured in turn; the
share of a step that looking for what is not finite takes; seconds of a checkpoint. Images are
random.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import config
from train.device import import_tensorflow, set_up_device

_ROUNDS = 3
_WARM_UP = 5


def measure_steps(trainers, images, steps):
    """Seconds of the steps of each trainer, taken in turn: the medians."""
    seconds = [[] for _ in trainers]
    for _ in range(steps + _WARM_UP):
        for trainer, of_trainer in zip(trainers, seconds, strict=True):
            start = time.perf_counter()
            float(trainer.train_steps(images)["encoder_loss"])
            of_trainer.append(time.perf_counter() - start)
    return [statistics.median(of_trainer[_WARM_UP:]) for of_trainer in seconds]


def measure(settings, deterministic, steps):
    """Seconds of (a step, watching it, a checkpoint), in a process of its own."""
    tf = import_tensorflow()
    set_up_device(tf, settings.train.model_copy(update={"deterministic": deterministic}), threads=1)
    from train.checkpoints import Checkpoints
    from train.monitor import Monitor
    from train.run_folder import RunFolder
    from train.step import Trainer

    class Unwatched(Trainer):
        def gradient_norms(self, gradients):
            return {}

    run, resolution = settings.experiment.runs[0], settings.data.resolution
    trainer = Trainer(settings, run)
    shape = (1, settings.train.batch_size, resolution, resolution, 3)
    images = tf.random.stateless_uniform(shape, (0, 0), -1.0, 1.0)
    step, unwatched = measure_steps([trainer, Unwatched(settings, run)], images, steps)
    statistics_of_step, monitor = trainer.train_steps(images), Monitor()
    start = time.perf_counter()
    for _ in range(steps):
        if monitor.add(0, statistics_of_step):
            monitor.look()
    look = (time.perf_counter() - start) / steps
    with tempfile.TemporaryDirectory() as path:
        folder = RunFolder(path)
        folder.write_config(settings, run, 0, "benchmark")
        checkpoints = Checkpoints(trainer, folder)
        start = time.perf_counter()
        checkpoints.save(1)
        save = time.perf_counter() - start
    return step, look + step - unwatched, save


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="configs/quick.yaml")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    settings = config.load(arguments.config, arguments.overrides)
    context = multiprocessing.get_context("spawn")
    measured = {True: [], False: []}
    for _ in range(_ROUNDS):
        for deterministic in measured:
            with context.Pool(1) as pool:
                task = (settings, deterministic, arguments.steps)
                measured[deterministic].append(pool.apply(measure, task))
    with_it, without = (
        statistics.median(step for step, _, _ in measured[kind]) for kind in (True, False)
    )
    watching = statistics.median(watch / step for step, watch, _ in measured[True])
    saving = statistics.median(save for _, _, save in measured[True])
    print(
        f"a step: {1000 * with_it:.1f} ms deterministic, {with_it / without:.2f} of one that is not"
    )
    print(f"looking for what is not finite: {watching:.1%} of a step")
    print(f"a checkpoint: {saving:.2f} s")


if __name__ == "__main__":
    main()
