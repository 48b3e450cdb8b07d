"""The cost of determinism, of the watch for NaN and of checkpoints.

    python -m benchmarks.safety [CONFIG] [--set KEY=VALUE]... [--steps 200]

It trains the config's first run on random images, on one core. It measures the seconds of a
training step with and without `train.deterministic`, in turn; how much of a step it takes to look
for values that are not finite; and the seconds of a checkpoint.
"""

import argparse
import os
import statistics

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.measurements import SafetyCost
from benchmarks.runs import first_run, vary_run
from config import Config, load
from train.runtime import processes
from train.runtime.startup import import_tensorflow

VARIANTS = {
    "deterministic": {"train.deterministic": True},
    "free": {"train.deterministic": False},
}
_ROUNDS = 3


def measure(config: Config, run: str, steps: int) -> SafetyCost:
    """`benchmarks.measurements.safety.measure_safety`, in the process that this is called in."""
    import_tensorflow()
    from benchmarks.measurements.safety import measure_safety

    return measure_safety(config, run, steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="configs/quick.yaml")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    config = load(arguments.config, arguments.overrides)
    config = vary_run(config, first_run(config), VARIANTS)
    measured = {run: [] for run in VARIANTS}
    for _ in range(_ROUNDS):
        for run, costs in measured.items():
            costs.append(processes.call("the measurement", measure, config, run, arguments.steps))
    deterministic, free = (
        statistics.median(cost.step for cost in measured[run]) for run in VARIANTS
    )
    watching = statistics.median(cost.watching / cost.step for cost in measured["deterministic"])
    saving = statistics.median(cost.checkpoint for cost in measured["deterministic"])
    print(
        f"a step: {1000 * deterministic:.1f} ms deterministic, "
        f"{deterministic / free:.2f} of a non-deterministic one"
    )
    print(f"looking for what is not finite: {watching:.1%} of a step")
    print(f"a checkpoint: {saving:.2f} s")


if __name__ == "__main__":
    main()
