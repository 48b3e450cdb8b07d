"""A training that is killed again and again, beside one that is left alone. See `survive`.

At the end both must have the same weights, optimizers, window, random state and metrics, to the
last bit; only timings may differ. `python -m benchmarks.survival` does it at length.
"""

import json
import os
import random
import shutil
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import evaluate.evaluator  # noqa: F401  the fork server imports it once for all processes
import train.experiment.training  # noqa: F401
from tests.conftest import FORKSERVER, SMALLEST, run_in
from train.runs.folder import RunFolder

MOMENTS = ("step", "checkpoint", "evaluation", "metrics", "anywhere")
TIMINGS = {"images_per_second", "seconds_train", "seconds_evaluate"}
_EPOCHS = 5
_LONGEST_WAIT = 60
_POLL_SECONDS = 0.001
CHANGES = SMALLEST | {
    "data.train_size": 80,
    "train.epochs": _EPOCHS,
    "train.checkpoint_every": "3 steps",
}


def start_training(config, folder):
    """A process that trains, or goes on training, into a run folder; it can be killed."""
    process = FORKSERVER.Process(target=run_in, args=(config, folder), kwargs={"threads": 1})
    process.start()
    return process


def wait_for(moment, folder, process, chance):
    """Wait until the training reaches the moment, one of `MOMENTS`, or ends."""
    deadline = time.monotonic() + _LONGEST_WAIT
    before = _look(folder)
    if moment == "anywhere":
        deadline = time.monotonic() + chance.uniform(0, 6)
    while process.is_alive() and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        now = _look(folder)
        if moment == "checkpoint" and now["unfinished"]:
            return
        if moment == "metrics" and now["metrics"] != before["metrics"]:
            return
        if moment == "evaluation" and now["images"] > before["images"]:
            time.sleep(chance.uniform(0, 0.05))
            return
        if moment == "step" and now["checkpoints"] - before["checkpoints"]:
            time.sleep(chance.uniform(0, 0.1))
            return


def _look(folder):
    walked = list(os.walk(folder / "checkpoints"))
    names = {name for _, folders, files in walked for name in (*folders, *files)}
    metrics = folder / "metrics.jsonl"
    return {
        "checkpoints": {name for name in names if name.endswith(".index")},
        "unfinished": {name for name in names if "temp" in name},
        "images": sum(len(files) for _, _, files in os.walk(folder / "images")),
        "metrics": metrics.stat().st_size if metrics.exists() else 0,
    }


def cut_last_row(folder, chance):
    """Cut the last row short, as a kill does that comes while the row is written."""
    metrics = folder / "metrics.jsonl"
    content = metrics.read_bytes() if metrics.exists() else b""
    if content:
        start = content.rstrip(b"\n").rfind(b"\n") + 1
        metrics.write_bytes(content[: chance.randrange(start, len(content))])


def final_state(folder):
    """What must be equal: (arrays of the last checkpoint by name, rows of metrics.jsonl)."""
    folder = RunFolder(folder)
    reader = tf.train.load_checkpoint(str(folder.saved_steps()[max(folder.saved_steps())]))
    arrays = {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if not name.startswith(("save_counter", "_CHECKPOINTABLE", "progress/seconds"))
    }
    rows = [{k: v for k, v in row.items() if k not in TIMINGS} for row in folder.rows()]
    return arrays, rows


def states_are_equal(left, right):
    """Whether two final states are equal to the last bit."""
    (arrays, rows), (other_arrays, other_rows) = left, right
    return (
        json.dumps(rows) == json.dumps(other_rows)
        and arrays.keys() == other_arrays.keys()
        and all(np.array_equal(arrays[name], other_arrays[name]) for name in arrays)
    )


def train_to_the_end(config, folder):
    process = start_training(config, folder)
    process.join()
    if process.exitcode:
        raise RuntimeError(f"training ended with exit code {process.exitcode}")
    return final_state(folder)


def survive(config, folder, kills, seed, expected):
    """Kill a training again and again. When it nears its end, let it end and start another.

    Yields (moment, epochs done) for each kill, and ("end", whether it ended as expected).
    """
    chance = random.Random(seed)
    for number in range(kills):
        moment = MOMENTS[number % len(MOMENTS)]
        process = start_training(config, folder)
        wait_for(moment, folder, process, chance)
        process.kill()
        process.join()
        if moment == "metrics":
            cut_last_row(folder, chance)
        done = RunFolder(folder).epochs_done()
        yield moment, done
        if done >= _EPOCHS - 1:
            yield "end", states_are_equal(train_to_the_end(config, folder), expected)
            shutil.rmtree(folder)
    yield "end", states_are_equal(train_to_the_end(config, folder), expected)
