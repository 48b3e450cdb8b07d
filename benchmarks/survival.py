"""How often a training that is killed goes on to the same end, to the last bit.

    python -m benchmarks.survival [--kills 20] [--seed 0]

The kills (SIGKILL) come in steps, while a checkpoint is written, in the evaluation, while a row of
metrics is written, and anywhere.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from config import Config
from tests.conftest import TINY, merge
from tests.survival import CHANGES, survive, train_to_the_end


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    config = Config.model_validate(merge(TINY, CHANGES))
    tried = survived = waiting = 0
    with tempfile.TemporaryDirectory() as folder:
        expected = train_to_the_end(config, Path(folder, "alone"))
        killed = Path(folder, "killed")
        for moment, outcome in survive(config, killed, arguments.kills, arguments.seed, expected):
            if moment == "end":
                survived, waiting = survived + (waiting if outcome else 0), 0
                print(f"ended {'as' if outcome else 'UNLIKE'} the one left alone", flush=True)
            else:
                tried, waiting = tried + 1, waiting + 1
                print(f"killed at: {moment}; epochs done: {outcome}", flush=True)
    print(f"survived {survived} of {tried}")
    sys.exit(survived != tried)


if __name__ == "__main__":
    main()
