"""How often a training that is cut off goes on to the same end, to the last bit.

    python -m benchmarks.survival [--kills 20] [--power-losses 10] [--seed 0]

The kills (SIGKILL) come while the training takes steps, writes a checkpoint, evaluates, writes a
row of metrics, and at random moments. The power goes just as a row of metrics appears: the training
writes to a file system of its own, which is shut down without a flush and mounted again; that takes
root, on Linux. All are survived if the training then ends as one that is left alone.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.power_loss import Disk, ends_as_expected
from config import Config
from tests.conftest import TINY, merge
from tests.survival import CHANGES, survive, train_to_the_end


def count_kills_survived(
    config: Config, folder: Path, kills: int, seed: int, expected: Any
) -> tuple[int, int]:
    """Train in a folder and kill the training; returns (kills survived, kills)."""
    killed = survived = since_last_end = 0
    for moment, outcome in survive(config, folder, kills, seed, expected):
        if moment == "end":
            survived += since_last_end if outcome else 0
            since_last_end = 0
            print(f"ended {_as_or_unlike(outcome)} the one left alone", flush=True)
        else:
            killed += 1
            since_last_end += 1
            print(f"killed at: {moment}; epochs done: {outcome}", flush=True)
    return survived, killed


def count_power_losses_survived(
    config: Config, folder: Path, losses: int, seed: int, expected: Any
) -> tuple[int, int]:
    """Train on new disks that lose power; returns (losses survived, losses).

    The second is smaller than `losses`, or 0, where no such disk can be made.
    """
    chance = random.Random(seed)
    survived = 0
    for number in range(losses):
        row = 1 + number % (config.train.epochs - 1)
        try:
            with Disk(folder / str(number)) as disk:
                is_survived = ends_as_expected(config, disk, row, chance, expected)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"no more power is cut, which takes root and ext4: {error}")
            return survived, number
        survived += is_survived
        end = f"ended {_as_or_unlike(is_survived)} the one left alone"
        print(f"power lost at row {row}: {end}", flush=True)
    return survived, losses


def _as_or_unlike(is_equal: bool) -> str:
    return "as" if is_equal else "UNLIKE"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--power-losses", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    config = Config.model_validate(merge(TINY, CHANGES))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expected = train_to_the_end(config, folder / "alone")
        kills = count_kills_survived(
            config, folder / "killed", arguments.kills, arguments.seed, expected
        )
        losses = count_power_losses_survived(
            config, folder / "disks", arguments.power_losses, arguments.seed, expected
        )
    print("survived {} of {} kills".format(*kills))
    print("survived {} of {} losses of power".format(*losses))
    sys.exit(kills[0] != kills[1] or losses[0] != losses[1])


if __name__ == "__main__":
    main()
