"""Averages of the weights: from where they start, and who uses them."""

import json
import re
import shutil

import numpy as np
import pytest

from config import Config
from evaluate.exchange.model_card import model_card
from evaluate.trained_run import TrainedRun
from models.reference.weights import to_arrays
from tests.conftest import (
    PROTOCOL,
    SMALLEST,
    TINY,
    assert_user_error,
    eagerly,
    merge,
    write_run,
)
from train.runs.checkpoints import Checkpoints
from train.runs.folder import RunFolder
from train.step import Trainer

DECAY = 0.75
CONFIG = Config.model_validate(merge(TINY, SMALLEST | {"train.average_decay": DECAY}))
IMAGES = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    """(folder of a run that was saved after two steps, its trainer, weights before each step)."""
    path = tmp_path_factory.mktemp("experiment") / "run"
    trainer = write_run(CONFIG, path)
    weights = [to_arrays(trainer.networks)]
    with eagerly():
        for _ in range(2):
            trainer.train_step(IMAGES)
            weights.append(to_arrays(trainer.networks))
    folder = RunFolder(path)
    with folder.locked():
        Checkpoints(trainer, folder).save(2)
    return path, trainer, weights


def test_averages_start_from_the_initial_weights(averaged):
    _, trainer, (initial, first, second) = averaged
    for name, average in to_arrays(trainer.averages.networks).items():
        once = DECAY * initial[name] + (1 - DECAY) * first[name]
        expected = DECAY * once + (1 - DECAY) * second[name]
        np.testing.assert_allclose(average, expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_commands_and_evaluation_use_the_averages(averaged, command, tmp_path):
    path, trainer, weights = averaged
    assert trainer.evaluated().networks is trainer.averages.networks
    assert trainer.evaluated().variance_window is trainer.variance_window
    used, raw = TrainedRun(path), TrainedRun(path, raw=True)
    assert str(used).endswith("(epoch 0, step 2, averaged weights)")
    assert str(raw).endswith("(epoch 0, step 2, raw weights)")
    for name, array in to_arrays(raw.networks).items():
        np.testing.assert_array_equal(array, weights[2][name])
    name = "synthesis.const"
    expected = DECAY**2 * weights[0][name] + (1 - DECAY) * (
        DECAY * weights[1][name] + weights[2][name]
    )
    np.testing.assert_allclose(to_arrays(used.networks)[name], expected, rtol=1e-5)
    code, output, _ = command("sample", path, "--count", 1, "--raw", "--out", tmp_path / "out")
    assert code == 0
    assert "step 2, raw weights)" in output


def test_evaluate_compares_raw_weights_with_the_metrics_of_the_averages(
    averaged, command, tmp_path
):
    path = shutil.copytree(averaged[0], tmp_path / "experiment" / "run")
    row = {"epoch": 1, "step": 2, "images_seen": 8, "fake_psnr": 5.0, "protocol": PROTOCOL}
    (path / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    outputs = [command("evaluate", path, *options)[1] for options in ((), ("--raw",))]
    assert ["recorded: the metrics of the averaged weights" in o for o in outputs] == [False, True]
    measured = [re.search("fake_psnr +5 +([-0-9.]+)", output)[1] for output in outputs]
    assert measured[0] != measured[1]


def test_a_model_card_does_not_give_raw_weights_the_metrics_of_the_averages(averaged):
    path, *_ = averaged
    row = {"epoch": 1, "step": 2, "encoder_loss": 0.5, "fake_psnr": 20.0, "protocol": PROTOCOL}
    folder = RunFolder(path)
    with folder.locked():
        folder.append(row | {"fid": 10.0})
    cards = {raw: model_card(TrainedRun(path, raw=raw)) for raw in (False, True)}
    assert "averaged weights; the metrics are from the last epoch" in cards[False]
    assert "raw weights; the metrics are of their averages, from the last epoch" in cards[True]
    assert ["model-index:" in cards[raw] for raw in (False, True)] == [True, False]


def test_raw_is_for_runs_with_averages(trainer, command, tmp_path):
    assert trainer.evaluated().networks is trainer.networks
    code, _, errors = command("sample", trainer.path, "--raw", "--out", tmp_path / "out")
    message = f"{trainer.path}: --raw is for a run with train.average_decay; this one has none"
    assert_user_error(code, errors, message)
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_goes_on_with_the_same_bits(averaged):
    path, trainer, _ = averaged
    again = Trainer(CONFIG, "normal_dls_dg", seed=5)
    assert Checkpoints(again, RunFolder(path)).restore() == 2
    averages = []
    with eagerly():
        for each in (trainer, again):
            each.train_step(IMAGES, np.ones((4, 6), np.float32))
            averages.append(to_arrays(each.averages.networks))
    for name, average in averages[0].items():
        np.testing.assert_array_equal(averages[1][name], average)
