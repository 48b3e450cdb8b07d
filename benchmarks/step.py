"""The training step: its time, its memory, and its share of what convolutions alone can do.

    python -m benchmarks.step [CONFIG] [--precision float32 mixed_bfloat16] [--set KEY=VALUE]...

It measures the config's first run on random images, each precision in a process of its own.

The ceiling is the speed of bare convolutions, forward and both gradients, at the shapes of the
step's convolutions, see `benchmarks.measurements.ceiling`. It means something where a convolution
takes milliseconds; for small networks it measures the calls of TensorFlow.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.measurements import StepMeasurement
from benchmarks.runs import first_run, vary_run
from config import Config, load, resolve_run
from train.passes import BOTH, choose_passes
from train.runtime import processes
from train.runtime.startup import import_tensorflow

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def measure(config: Config, run: str, calls: int) -> StepMeasurement:
    """`benchmarks.measurements.step.measure_step`, in the process that this is called in."""
    import_tensorflow()
    from benchmarks.measurements.step import measure_step

    return measure_step(config, run, calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="configs/celeba128.yaml")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS[:2])
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--steps", type=int, default=5, help="calls to time")
    arguments = parser.parse_args()
    config = load(arguments.config, arguments.overrides)
    train = resolve_run(config, first_run(config)).train
    if train.method != "dlsgan" or choose_passes(train) != [BOTH]:
        parser.error(
            "it tells the parts of Algorithm 1's step apart: train.method dlsgan, train.updates "
            "simultaneous, train.discriminator_steps 1"
        )
    variants = {precision: {"train.precision": precision} for precision in arguments.precision}
    config = vary_run(config, first_run(config), variants)
    measured = {
        run: processes.call("the measurement", measure, config, run, arguments.steps)
        for run in variants
    }
    columns = {run: measurement.quantities for run, measurement in measured.items()}
    first, *_ = measured.values()
    print(first.description)
    print(f"| | {' | '.join(columns)} |")
    print(f"|---{'|---' * len(columns)}|")
    for quantity in first.quantities:
        print(f"| {quantity} | {' | '.join(c[quantity] for c in columns.values())} |")


if __name__ == "__main__":
    main()
