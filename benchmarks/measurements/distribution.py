"""Training steps of one process among others, on demand. See `take_steps`."""

import time
from multiprocessing.queues import Queue

import tensorflow as tf

from config import Config, resolve_run
from train.experiment.jobs import require_divisible
from train.runtime.cluster import read_cluster
from train.runtime.device import set_up_device
from train.runtime.distribution import lost_process_reported, open_strategy
from train.step import Trainer
from train.timing import random_batches


def take_steps(config: Config, run: str, orders: Queue, seconds: Queue) -> None:
    """Take a training step of a run, then one more for each order; None for an order ends this.

    It puts the seconds of each step into a queue. The step that traces does not count.
    """
    run_config = resolve_run(config, run)
    cluster = read_cluster(run_config.train.distribution)
    device = set_up_device(run_config.train)
    strategy = open_strategy(device.train_config.distribution)
    require_divisible(run_config, strategy.num_replicas_in_sync)
    with lost_process_reported(cluster), strategy.scope():
        trainer = Trainer(config, run)
        batches = tf.gather(random_batches(trainer), trainer.positions(), axis=1)
        _time_step(trainer, batches)  # which also traces it
        seconds.put(_time_step(trainer, batches))
        while orders.get() is not None:
            seconds.put(_time_step(trainer, batches))


def _time_step(trainer: Trainer, batches: tf.Tensor) -> float:
    """Seconds of one step, on `batches` (1, part, height, width, 3)."""
    start = time.perf_counter()
    trainer.train_steps(batches)["encoder_loss"].numpy()
    return time.perf_counter() - start
