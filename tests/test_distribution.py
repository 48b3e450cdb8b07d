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
    averaging_steps_of,
    growing_steps_of,
    losses_of,
    measure_on,
    measured_by,
    steps_of,
    take_averaging_steps,
    take_golden_steps,
    take_growing_steps,
    take_steps_of_losses,
    train,
    train_in_cluster,
)
from tests.test_golden import assert_same_weights
from train.runs.folder import RunFolder
from train.runtime.distribution import Processes

_LONGEST_WAIT = 300


def start(function, *arguments):
    """(process, queue): the process puts into the queue what the function returns or raises."""
    answers = FORKSERVER.Queue()
    process = FORKSERVER.Process(
        target=distributed.answer, args=(answers, function, *arguments), daemon=True
    )
    process.start()
    return process, answers


def answers_of(started):
    """The answers of processes; an exception in one raises AssertionError."""
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
        "2 processes": [
            start(steps_of, "multi_worker", 1, tf_config) for tf_config in tf_configs(2)
        ],
    }
    return started, take_golden_steps(tf.distribute.get_strategy())


@pytest.mark.long
@pytest.mark.parametrize("replicas", ["2 processes", "2 devices", "4 devices"])
def test_golden_steps_end_as_on_one_device(golden, replicas):
    started, on_one_device = golden
    for results in answers_of(started[replicas]):
        assert results.keys() == METHODS.keys()
        for method, (losses, window, weights) in results.items():
            expected_losses, expected_window, expected_weights = on_one_device[method]
            np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
            assert difference(window, expected_window) < 1e-5
            assert_same_weights(weights, expected_weights)
            for name, expected in expected_weights.items():
                assert difference(weights[name], expected) < 1e-5, (method, name)


def difference(value, expected):
    """The norm of the difference, relative to that of `expected`."""
    return np.linalg.norm(value - expected) / max(np.linalg.norm(expected), 1e-3)


def test_evaluation_is_as_on_one_device():
    """Also where a batch does not divide among the replicas."""
    changes = {"data.test_size": 11, "evaluate.batch_size": 5, "evaluate.bootstrap": 5}
    config = Config.model_validate(merge(TINY, changes))
    started = [
        start(measured_by, config, "multi_worker", 1, tf_config) for tf_config in tf_configs(2)
    ]
    started.append(start(measured_by, config, "mirrored", 2))
    expected_row, expected = measure_on(config, tf.distribute.get_strategy())
    chief, other, devices = answers_of(started)
    assert other == ({}, {})
    for row, per_image in (chief, devices):
        assert row.keys() == expected_row.keys()
        for name, values in expected.items():
            assert len(per_image[name]) == 10
            np.testing.assert_allclose(per_image[name], values, rtol=1e-4, atol=1e-5)
        assert row["fid"] == pytest.approx(expected_row["fid"], rel=1e-4)
        importance = "scale_importance_correlation"
        assert row[importance] == pytest.approx(expected_row[importance])
        for name in ("fid", importance, "latent_entropy"):
            expected_bounds = expected_row["intervals"][name]
            assert row["intervals"][name] == pytest.approx(expected_bounds, rel=1e-3)


@pytest.mark.long
def test_a_training_that_loses_a_process_goes_on_with_one_to_the_same_end(tmp_path):
    changes = {"data.train_size": 40, "train.epochs": 1, "train.checkpoint_every": "2 steps"}
    alone = Config.model_validate(merge(TINY, SMALLEST | changes))
    several = Config.model_validate(
        merge(TINY, SMALLEST | changes | {"train.distribution": "multi_worker"})
    )
    folder = RunFolder(tmp_path / "run")
    chief_config, other_config = tf_configs(2)
    _, answers = start(train_in_cluster, several, folder.path, chief_config)
    other, _ = start(train_in_cluster, several, folder.path, other_config, 5)
    other.join(_LONGEST_WAIT)
    killed = time.monotonic()
    message = answers.get(timeout=_LONGEST_WAIT)
    assert time.monotonic() - killed < 60
    assert "ProcessLostError: 127.0.0.1:" in message
    assert "ended or cannot be reached any more; start all processes again" in message
    assert folder.rows() == []
    assert max(folder.saved_steps()) == 4
    uninterrupted = tmp_path / "uninterrupted"
    started = [
        start(train_in_cluster, several, uninterrupted, tf_config) for tf_config in tf_configs(2)
    ]
    with eagerly():
        (row,) = train(alone, folder.path)
    (expected,), _ = answers_of(started)
    assert row["step"] == expected["step"] == 10
    for name, value in expected.items():
        if isinstance(value, float) and not name.startswith(("seconds", "images_per_second")):
            assert row[name] == pytest.approx(value, rel=1e-4), name


@pytest.mark.long
def test_every_loss_trains_on_several_replicas_as_on_one():
    config = Config.model_validate(merge(TINY, SMALLEST))
    started = [
        start(losses_of, config, "multi_worker", 1, tf_config) for tf_config in tf_configs(2)
    ]
    started.append(start(losses_of, config, "mirrored", 2))
    expected = take_steps_of_losses(config, tf.distribute.get_strategy())
    for results in answers_of(started):
        for loss, rows in results.items():
            for row, expected_row in zip(rows, expected[loss], strict=True):
                assert row == pytest.approx(expected_row, rel=1e-3, abs=1e-3), loss


@pytest.mark.parametrize(
    "model",
    [
        {"backbone": "dcgan", "generator_channels": 4, "discriminator_channels": 4},
        {"backbone": "stylegan3_r", "style_units": 4, "mapping_layers": 1, "channel_base": 64,
         "channel_max": 2, "minibatch_stddev_group": 0},
    ],
)  # fmt: skip
def test_moving_averages_follow_the_batch_of_all_replicas(model):
    """XLA compiles the step of one replica only: it cannot compile what replicas exchange."""
    values = merge(TINY, {"train.jit_compile": True})
    config = Config.model_validate(values | {"model": model})
    started = [start(averaging_steps_of, config, "mirrored", 2)]
    expected_rows, expected, is_compiled = take_averaging_steps(
        config, tf.distribute.get_strategy()
    )
    assert is_compiled
    ((rows, moving, is_compiled),) = answers_of(started)
    assert not is_compiled
    for row, expected_row in zip(rows, expected_rows, strict=True):
        assert row == pytest.approx(expected_row, rel=1e-3)
    for replicas, (alone,) in zip(moving, expected, strict=True):
        for values in replicas:
            np.testing.assert_allclose(values, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.long
def test_networks_grow_on_several_replicas_as_on_one():
    values = merge(TINY, SMALLEST)
    values["model"] = {
        "backbone": "progressive_gan", "channel_base": 32, "channel_max": 4,
        "minibatch_stddev_group": 0, "stage_kimg": 0.008, "fade_kimg": 0.008,
    }  # fmt: skip
    config = Config.model_validate(values)
    started = [start(growing_steps_of, config, "mirrored", 2)]
    expected = take_growing_steps(config, tf.distribute.get_strategy())
    (results,) = answers_of(started)
    for loss, values in results.items():
        np.testing.assert_allclose(values, expected[loss], rtol=1e-3, err_msg=loss)


def test_one_process_alone():
    alone = Processes()
    assert (alone.index, alone.count, alone.replicas, alone.is_chief) == (0, 1, 1, True)
    assert alone.gather(3) == [3]
    assert alone.from_chief({"a": [1]}) == {"a": [1]}
    assert alone.positions(3).tolist() == [0, 1, 2]
    alone.require_same("settings", 1)
