"""How often a training that is killed goes on to the same end, to the last bit.

    python -m benchmarks.survival [--kills 20] [--seed 0]

The kills (SIGKILL) come while the training takes steps, writes a checkpoint, evaluates, writes a
row of metrics, and at random moments. Kills are survived if the training then ends as one that is
left alone.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from config import Config
from tests.conftest import TINY, merge
from tests.survival import CHANGES, survive, train_to_the_end


def count_survived(folder: Path, kills: int, seed: int) -> tuple[int, int]:
    """Train in a folder, once undisturbed, then with kills; returns (kills survived, kills)."""
    config = Config.model_validate(merge(TINY, CHANGES))
    expected = train_to_the_end(config, folder / "alone")
    killed = survived = since_last_end = 0
    for moment, outcome in survive(config, folder / "killed", kills, seed, expected):
        if moment == "end":
            survived += since_last_end if outcome else 0
            since_last_end = 0
            print(f"ended {'as' if outcome else 'UNLIKE'} the one left alone", flush=True)
        else:
            killed += 1
            since_last_end += 1
            print(f"killed at: {moment}; epochs done: {outcome}", flush=True)
    return survived, killed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        survived, killed = count_survived(Path(folder), arguments.kills, arguments.seed)
    print(f"survived {survived} of {killed}")
    sys.exit(survived != killed)


if __name__ == "__main__":
    main()
