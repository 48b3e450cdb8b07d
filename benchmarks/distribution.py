"""What is lost when a training is spread over processes.

    python -m benchmarks.distribution [CONFIG] [--set KEY=VALUE]... [--rounds 9]

Images a second of training steps with the same batch, of one process with one core, of one process
with all cores of this machine, and of as many processes with one core each (multi_worker, on the
loopback interface): in turn, so that all meet the same machine. Images are random.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import config
from train import processes
from train.device import import_tensorflow, set_up_device, settle

_WAIT_SECONDS = 600


def work(settings, cores, tf_config, orders, seconds):
    """A process that uses these cores: takes a step, and answers how long it took, for each order.

    None for an order ends it.
    """
    os.sched_setaffinity(0, cores)
    os.environ["TF_CONFIG"] = json.dumps(tf_config)
    tf = import_tensorflow()
    settings = settle(tf, settings)
    set_up_device(tf, settings.train, len(cores))
    from train.distribution import open_strategy
    from train.step import Trainer
    from train.timing import random_batches

    with open_strategy("multi_worker" if tf_config else "none").scope():
        trainer = Trainer(settings, settings.experiment.runs[0])
    positions = trainer.workers.positions(settings.train.batch_size)
    images = tf.gather(random_batches(settings), positions, axis=1)

    def step():
        start = time.perf_counter()
        trainer.train_steps(images)["encoder_loss"].numpy()
        return time.perf_counter() - start

    step()  # which also traces it
    while True:
        seconds.put(step())
        if orders.get() is None:
            return


class Arrangement:
    """Processes that train together, each with some of the cores."""

    def __init__(self, settings, shares):
        self.orders, self.seconds = [], []
        self.processes = []
        for share, tf_config in zip(shares, tf_configs(len(shares)), strict=True):
            self.orders.append(processes.Queue())
            self.seconds.append(processes.Queue())
            arguments = (settings, share, tf_config, self.orders[-1], self.seconds[-1])
            self.processes.append(processes.start(work, *arguments))
        self.wait()

    def wait(self):
        """Seconds of the step that they take: of the slowest process."""
        return max(of_one.get(timeout=_WAIT_SECONDS) for of_one in self.seconds)

    def step(self):
        for order in self.orders:
            order.put("step")
        return self.wait()

    def end(self):
        for order in self.orders:
            order.put(None)
        for process in self.processes:
            process.join()


def tf_configs(count):
    """The TF_CONFIG of each of so many processes of this machine; None for one."""
    if count == 1:
        return [None]
    with contextlib.ExitStack() as opened:
        servers = [opened.enter_context(socket.create_server(("", 0))) for _ in range(count)]
        addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]
    return [
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        for index in range(count)
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="configs/faces64.yaml")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    settings = config.load(arguments.config, arguments.overrides)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2 or settings.train.batch_size % len(cores):
        parser.error(f"takes 2 cores or more, and a batch to share out. Received: {len(cores)}")
    arrangements = {
        "1 process of 1 core": [cores[:1]],
        f"1 process of {len(cores)} cores": [cores],
        f"{len(cores)} processes of 1 core": [[core] for core in cores],
    }
    opened = {name: Arrangement(settings, shares) for name, shares in arrangements.items()}
    seconds = {name: [] for name in opened}
    for _ in range(arguments.rounds):
        for name, arrangement in opened.items():
            seconds[name].append(arrangement.step())
    for arrangement in opened.values():
        arrangement.end()
    rates = {
        name: settings.train.batch_size / statistics.median(of_one)
        for name, of_one in seconds.items()
    }
    one_core, one_process, several = rates.values()
    for name, rate in rates.items():
        print(f"{name}: {rate:.3g} images/s, {rate / one_core:.0%} of those of one core")
    print(f"efficiency of several processes against one: {several / one_process:.0%}")


if __name__ == "__main__":
    main()
