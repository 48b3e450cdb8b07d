"""A trained run from its folder: which checkpoint, and what cannot be opened."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
import yaml

from config import Config, UserError
from evaluate.trained_run import TrainedRun
from models.latent import sample_prior
from tests.conftest import (
    SMALLEST,
    TINY,
    assert_user_error,
    merge,
    write_run,
)
from train.runs.checkpoints import Checkpoints
from train.runs.folder import RunFolder

BY_IMPORTANCE = [4, 5, 1, 0, 3, 2]
OPENS_RUNS = ["sample", "interpolate", "edit", "reconstruct", "export", "elements", "evaluate"]
OPENS_RUNS += ["explore", "export-reference"]


def test_a_trained_run_has_the_state_of_the_checkpoint(trainer, trained):
    latents = sample_prior((5, 6), "normal", seed=1)
    np.testing.assert_array_equal(trained.scale, trainer.scale())
    np.testing.assert_allclose(
        trained.generate(latents.numpy()),
        np.clip(trainer.networks.generate(latents, trainer.scale()), -1, 1),
        atol=1e-5,
    )
    assert trained.elements_by_importance.tolist() == BY_IMPORTANCE
    assert (trained.epoch, trained.step, str(trained)) == (
        0,
        0,
        f"{trainer.path} (epoch 0, step 0)",
    )


@pytest.mark.parametrize(
    ("choice", "step", "printed"),
    [
        ("last", 4, "epoch 2, step 4"),
        ("best", 2, "epoch 1, step 2, best by FID"),
        ("2", 2, "epoch 1, step 2"),
        ("0", 0, "epoch 0, step 0"),
    ],
)
def test_a_checkpoint_can_be_chosen(command, several, tmp_path, choice, step, printed):
    out = tmp_path / "out"
    arguments = ("--count", 1, "--checkpoint", choice, "--out", out)
    code, output, errors = command("sample", several, *arguments)
    assert (code, errors) == (0, "")
    assert f"from {several} ({printed})" in output
    trained = TrainedRun(several, choice)
    assert trained.step == step
    np.testing.assert_array_equal(np.load(out / "latents.npz")["scale"], trained.scale)
    if step:
        assert trained.variance[0] == step


def test_without_a_choice_the_last_checkpoint_is_used(command, several, tmp_path):
    code, output, _ = command("sample", several, "--count", 1, "--out", tmp_path / "out")
    assert code == 0
    assert "(epoch 2, step 4)" in output


@pytest.mark.parametrize("name", OPENS_RUNS)
def test_every_command_can_choose_a_checkpoint(
    command, several, trainer, tmp_path, monkeypatch, name
):
    image = tmp_path / "a.png"
    image.touch()
    more = {"edit": [image, "--rank", "1=2"], "reconstruct": [image]}.get(name, [])
    monkeypatch.setattr("evaluate.inversion.explore_server.require_library", lambda: None)
    for run, choice, message in (
        (several, "3", f"{several}: no checkpoint of step 3; there are: 0, 2, 4"),
        (trainer.path, "best", "no best checkpoint; a run keeps one once it has measured FID"),
        (several, "newest", "--checkpoint takes last, best or a step. Received: newest"),
        (several, "-1", "--checkpoint takes last, best or a step. Received: -1"),
        (several, "+1", "--checkpoint takes last, best or a step. Received: +1"),
    ):
        code, _, errors = command(name, run, *more, "--checkpoint", choice)
        assert_user_error(code, errors, message)


def test_evaluating_a_chosen_checkpoint(command, several):
    for choice, epoch, printed in (("best", 1, "step 2, best by FID"), ("4", 2, "step 4")):
        code, output, _ = command("evaluate", several, "--checkpoint", choice)
        assert code == 0
        assert f"from {several} (epoch {epoch}, {printed})" in output
        assert f"epoch {epoch}: differ from the record: " in output
    code, _, errors = command("evaluate", several, "--checkpoint", "0")
    assert_user_error(code, errors, "no checkpoint of an epoch with metrics (--checkpoint 0)")


def test_a_checkpoint_that_is_removed_meanwhile(trainer, monkeypatch, recwarn):
    folder = RunFolder(trainer.path)
    listings = [{7: folder.checkpoints / "step-7"}, folder.saved_steps()]
    monkeypatch.setattr(RunFolder, "saved_steps", lambda _: listings.pop(0))
    assert TrainedRun(trainer.path).step == 0
    assert [str(warning.message) for warning in recwarn if "step-7" in str(warning.message)] == []


def test_a_best_checkpoint_that_is_replaced_meanwhile(tmp_path, monkeypatch):
    trainer = write_run(Config.model_validate(merge(TINY, SMALLEST)), tmp_path)
    folder, restore = RunFolder(tmp_path), tf.train.Checkpoint.restore
    with folder.locked():
        checkpoints = Checkpoints(trainer, folder)
        checkpoints.save_best(2)

        def replace_first(self, path):
            if path.endswith("best/step-2"):
                checkpoints.save_best(6)
            return restore(self, path)

        monkeypatch.setattr(tf.train.Checkpoint, "restore", replace_first)
        assert TrainedRun(tmp_path, "best").step == 6


def test_what_is_not_finite_is_reported(trained):
    for function, shape in ((trained.generate, (1, 6)), (trained.encode, (1, 8, 8, 3))):
        with pytest.raises(UserError, match=r"of such (latents|images) are not finite"):
            function(np.full(shape, np.nan, np.float32))


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("latent.dim", 5, "Received incompatible tensor with shape (6, 8) when attempting to "
         "restore variable with shape (5, 8) and name"),
        ("model.mapper_layers", 3, "it asks for more than they are"),
    ],
)  # fmt: skip
def test_a_config_that_no_longer_fits_the_weights_is_one_line(
    command, trainer, tmp_path, key, value, why
):
    path = shutil.copytree(trainer.path, tmp_path / "run")
    (path / "metrics.jsonl").write_text('{"epoch": 1, "step": 0, "fake_psnr": 1, "protocol": {}}\n')
    section, _, name = key.partition(".")
    values = yaml.safe_load((path / "config.yaml").read_text())
    values[section][name] = value
    (path / "config.yaml").write_text(yaml.safe_dump(values))
    for arguments in (("sample", path, "--out", tmp_path / "out"), ("evaluate", path)):
        code, _, errors = command(*arguments)
        message = f"error: {path / 'config.yaml'} does not fit the weights of step-0: {why}"
        assert_user_error(code, errors, message)
    assert not (tmp_path / "out").exists()


def test_folders_without_a_trained_run(command, make_config, tmp_path):
    code, _, errors = command("sample", tmp_path)
    assert_user_error(code, errors, "no run here (there is no config.yaml)")
    write_run(make_config(), tmp_path / "run")
    for file in (tmp_path / "run" / "checkpoints").iterdir():
        file.unlink()
    code, _, errors = command("sample", tmp_path / "run")
    assert_user_error(code, errors, "nothing is trained yet (no checkpoint)")


def test_evaluating_an_imported_run(command, trainer):
    code, output, _ = command("evaluate", trainer.path)
    assert code == 0
    assert "epoch 0: no metrics are recorded" in output
