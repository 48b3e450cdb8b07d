"""How much speed a training gains or loses when it is spread over processes.

    python -m benchmarks.distribution [CONFIG] [--set KEY=VALUE]... [--rounds 9]

It measures the images a second of training steps with the same batch: with one process on one core,
with one process on all cores of this machine, and with one process for each core (multi_worker, on
the loopback interface). The three take their steps in turn, so that a busy machine slows all of
them. They train the config's first run on random images.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
from collections.abc import Sequence
from multiprocessing.queues import Queue
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.runs import first_run, vary_run
from config import Config, load, resolve_run
from train.runtime import processes
from train.runtime.startup import import_tensorflow

VARIANTS = {
    "alone": {"train.distribution": "none"},
    "together": {"train.distribution": "multi_worker"},
}
_WAIT_SECONDS = 600


def take_steps_on(
    cores: Sequence[int],
    tf_config: dict[str, Any] | None,
    config: Config,
    run: str,
    orders: Queue,
    seconds: Queue,
) -> None:
    """The main function of a process: `benchmarks.measurements.distribution.take_steps`.

    The process uses only these cores, and finds the others by `tf_config`, see `tf_configs`.
    """
    os.sched_setaffinity(0, cores)
    if tf_config:
        os.environ["TF_CONFIG"] = json.dumps(tf_config)
    import_tensorflow()
    from benchmarks.measurements.distribution import take_steps

    take_steps(config, run, orders, seconds)


class Arrangement:
    """Processes that train together, each on its own cores."""

    def __init__(self, config: Config, cores_of_each: Sequence[Sequence[int]]) -> None:
        run = "together" if len(cores_of_each) > 1 else "alone"
        self.orders, self.seconds, self.processes = [], [], []
        for cores, tf_config in zip(cores_of_each, tf_configs(len(cores_of_each)), strict=True):
            self.orders.append(processes.Queue())
            self.seconds.append(processes.Queue())
            queues = (self.orders[-1], self.seconds[-1])
            self.processes.append(
                processes.start(take_steps_on, cores, tf_config, config, run, *queues)
            )
        self.wait()

    def wait(self) -> float:
        """Wait for the end of the current step; returns the seconds of the slowest process."""
        return max(answers.get(timeout=_WAIT_SECONDS) for answers in self.seconds)

    def step(self) -> float:
        """Take one step; returns its seconds."""
        for orders in self.orders:
            orders.put("step")
        return self.wait()

    def end(self) -> None:
        """End the processes."""
        for orders in self.orders:
            orders.put(None)
        for process in self.processes:
            process.join()


def tf_configs(count: int) -> list[dict[str, Any] | None]:
    """The TF_CONFIG of each of `count` processes on this machine; None for a single process."""
    if count == 1:
        return [None]
    with contextlib.ExitStack() as opened:
        servers = [opened.enter_context(socket.create_server(("", 0))) for _ in range(count)]
        addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]
    return [
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        for index in range(count)
    ]


def measure_seconds(
    config: Config, arrangements: dict[str, list[list[int]]], rounds: int
) -> dict[str, float]:
    """{name: median seconds of a step} of each arrangement, given as the cores of each process."""
    opened = {name: Arrangement(config, cores) for name, cores in arrangements.items()}
    seconds: dict[str, list[float]] = {name: [] for name in opened}
    for _ in range(rounds):
        for name, arrangement in opened.items():
            seconds[name].append(arrangement.step())
    for arrangement in opened.values():
        arrangement.end()
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="configs/faces64.yaml")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    config = load(arguments.config, arguments.overrides)
    config = vary_run(config, first_run(config), VARIANTS)
    batch_size = resolve_run(config, "alone").train.batch_size
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2 or batch_size % len(cores):
        parser.error(
            "takes 2 cores or more, and a train.batch_size that is a multiple of their number. "
            f"Received: {len(cores)} cores, batches of {batch_size}"
        )
    arrangements = {
        "1 process of 1 core": [cores[:1]],
        f"1 process of {len(cores)} cores": [cores],
        f"{len(cores)} processes of 1 core": [[core] for core in cores],
    }
    seconds = measure_seconds(config, arrangements, arguments.rounds)
    rates = {name: batch_size / median for name, median in seconds.items()}
    one_core, one_process, several = rates.values()
    for name, rate in rates.items():
        print(f"{name}: {rate:.3g} images/s, {rate / one_core:.0%} of the rate of one core")
    print(f"efficiency of several processes against one: {several / one_process:.0%}")


if __name__ == "__main__":
    main()
