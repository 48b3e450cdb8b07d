"""Several replicas and processes compute what one device does."""

import time

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.distribution import tf_configs
from config import Config
from tests import distributed
from tests.conftest import FORKSERVER, SMALLEST, TINY, eagerly, merge
from tests.distributed import (
    METHODS,
    measure_on,
    measured_by,
    steps_of,
    take_golden_steps,
    train,
    train_in_cluster,
)
from tests.test_golden import assert_same_weights
from train.runs.folder import RunFolder
from train.runtime.distribution import Workers

_LONGEST_WAIT = 300


def start(function, *arguments):
    """(process, queue) of a process that answers with what the function returns or raises."""
    answers = FORKSERVER.Queue()
    process = FORKSERVER.Process(
        target=distributed.answer, args=(answers, function, *arguments), daemon=True
    )
    process.start()
    return process, answers


def answers_of(started):
    """What processes answered; an AssertionError for an exception."""
    answers = []
    for process, queue in started:
        answers.append(queue.get(timeout=_LONGEST_WAIT))
        process.join()
        assert not isinstance(answers[-1], str), answers[-1]
    return answers


@pytest.fixture(scope="module")
def golden():
    """(the processes that take the steps on several replicas, the results of one device)."""
    started = {
        "4 devices": [start(steps_of, "mirrored", 4)],
        "2 devices": [start(steps_of, "mirrored", 2)],
        "2 processes": [start(steps_of, "multi_worker", 1, of_one) for of_one in tf_configs(2)],
    }
    return started, take_golden_steps(tf.distribute.get_strategy())


@pytest.mark.parametrize("replicas", ["2 processes", "2 devices", "4 devices"])
def test_golden_steps_end_as_on_one_device(golden, replicas):
    started, of_one_device = golden
    for results in answers_of(started[replicas]):
        assert results.keys() == METHODS.keys()
        for method, (losses, window, weights) in results.items():
            expected_losses, expected_window, expected_weights = of_one_device[method]
            np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
            assert difference(window, expected_window) < 1e-5
            assert_same_weights(weights, expected_weights)
            for name, expected in expected_weights.items():
                assert difference(weights[name], expected) < 1e-5, (method, name)


def difference(value, expected):
    """The norm of the difference, relative to that of `expected`."""
    return np.linalg.norm(value - expected) / max(np.linalg.norm(expected), 1e-3)


def test_evaluation_is_that_of_one_device():
    """Also where batches cannot be shared out equally."""
    changes = {"data.test_size": 11, "evaluate.batch_size": 5, "evaluate.bootstrap": 5}
    config = Config.model_validate(merge(TINY, changes))
    started = [start(measured_by, config, "multi_worker", 1, of_one) for of_one in tf_configs(2)]
    started.append(start(measured_by, config, "mirrored", 2))
    expected_row, expected = measure_on(config, tf.distribute.get_strategy())
    of_chief, of_other, of_devices = answers_of(started)
    assert of_other == ({}, {})
    for row, per_image in (of_chief, of_devices):
        assert row.keys() == expected_row.keys()
        for name, values in expected.items():
            assert len(per_image[name]) == 10
            np.testing.assert_allclose(per_image[name], values, rtol=1e-4, atol=1e-5)
        assert row["fid"] == pytest.approx(expected_row["fid"], rel=1e-4)
        for bound, expected_bound in zip(
            row["intervals"]["fid"], expected_row["intervals"]["fid"], strict=True
        ):
            assert bound == pytest.approx(expected_bound, rel=1e-3)


def test_a_training_that_loses_a_process_goes_on_with_one_as_if_nothing_had_happened(tmp_path):
    changes = {"data.train_size": 40, "train.epochs": 1, "train.checkpoint_every": "2 steps"}
    alone = Config.model_validate(merge(TINY, SMALLEST | changes))
    several = Config.model_validate(
        merge(TINY, SMALLEST | changes | {"train.distribution": "multi_worker"})
    )
    folder = RunFolder(tmp_path / "run")
    of_chief, of_other = tf_configs(2)
    _, answers = start(train_in_cluster, several, folder.path, of_chief)
    other, _ = start(train_in_cluster, several, folder.path, of_other, 5)
    other.join(_LONGEST_WAIT)
    killed = time.monotonic()
    message = answers.get(timeout=_LONGEST_WAIT)
    assert time.monotonic() - killed < 60
    assert "WorkerLostError: 127.0.0.1:" in message
    assert "ended or cannot be reached any more; start all processes again" in message
    assert folder.rows() == []
    assert max(folder.saved_steps()) == 4
    uninterrupted = tmp_path / "uninterrupted"
    started = [start(train_in_cluster, several, uninterrupted, of_one) for of_one in tf_configs(2)]
    with eagerly():
        (row,) = train(alone, folder.path)
    (expected,), _ = answers_of(started)
    assert row["step"] == expected["step"] == 10
    for name, value in expected.items():
        if isinstance(value, float) and not name.startswith(("seconds", "images_per_second")):
            assert row[name] == pytest.approx(value, rel=1e-4), name


def test_workers_of_one_process():
    workers = Workers()
    assert (workers.index, workers.count, workers.replicas, workers.is_chief) == (0, 1, 1, True)
    assert workers.gather(3) == [3]
    assert workers.from_chief({"a": [1]}) == {"a": [1]}
    assert workers.positions(3).tolist() == [0, 1, 2]
    workers.require_same("settings", 1)
