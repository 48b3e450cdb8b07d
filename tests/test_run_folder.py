"""What is kept in the folder of a run."""

import json

import pytest
import yaml

from config import UserError
from train.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    return folder


def test_an_epoch_has_one_row_however_often_it_is_trained(folder):
    assert folder.rows() == []
    folder.append({"epoch": 1, "fid": 3.0})
    folder.append({"epoch": 2, "fid": None})
    folder.append({"epoch": 1, "fid": 4.0})
    assert folder.rows() == [{"epoch": 1, "fid": 3.0}, {"epoch": 2, "fid": None}]
    assert [json.loads(line)["epoch"] for line in folder.metrics_path.open()] == [1, 2]


def test_a_run_is_complete_with_the_row_and_the_checkpoint_of_its_last_epoch(folder):
    folder.checkpoints.mkdir()
    assert not folder.is_complete(2)
    folder.append({"epoch": 1})
    folder.append({"epoch": 2})
    (folder.checkpoints / "epoch-1.index").touch()
    assert not folder.is_complete(2)
    (folder.checkpoints / "epoch-2.index").touch()
    assert folder.is_complete(2)
    assert folder.is_complete(1)
    assert not folder.is_complete(3)


def test_the_resolved_config_is_kept_with_what_it_ran_on(folder, make_config):
    config = make_config()
    folder.write_config(config, "normal_dls_d", 3, "some device")
    written = yaml.safe_load((folder.path / "config.yaml").read_text())
    recorded = written.pop("recorded")
    assert written == config.model_dump()
    assert (recorded["run"], recorded["seed"]) == ("normal_dls_d", 3)
    assert recorded["device"] == "some device"
    assert {"python", "tensorflow", "keras", "numpy", "scipy", "git_commit"} <= set(recorded)


def test_another_config_is_refused_but_for_more_epochs_and_other_runs(folder, make_config):
    folder.write_config(make_config(), "normal_dls_d", 0, "cpu")
    more = {"train.epochs": 9, "experiment.runs": ["normal_dls_d"]}
    folder.write_config(make_config(**more), "normal_dls_d", 0, "cpu")
    with pytest.raises(
        UserError,
        match=r"\(train.batch_size: 4, now 8; latent.dim: 6, now 7\)|"
        r"\(latent.dim: 6, now 7; train.batch_size: 4, now 8\)",
    ):
        folder.write_config(
            make_config(**{"train.batch_size": 8, "latent.dim": 7}), "normal_dls_d", 0, "cpu"
        )


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write here: not a directory"):
        RunFolder(tmp_path / "file" / "run").create()
