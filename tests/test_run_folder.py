"""The folder of a run: its rows, its lock, its config and what may change in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from config import Config, UserError, resolve_run
from evaluate.measuring import Measuring
from train.experiment.jobs import list_jobs
from train.experiment.preparation import prepare
from train.runs.folder import RunFolder
from train.runtime.cluster import ALONE

ROOT = Path(__file__).parent.parent
RUN = "normal_dls_d"


@pytest.fixture
def make_config(make_config):
    """A function: the config of `RUN`, with some keys changed."""
    return lambda **changes: resolve_run(make_config(**changes), RUN)


@pytest.fixture
def free(tmp_path):
    """A run folder that nobody holds."""
    folder = RunFolder(tmp_path / "run")
    folder.create()
    return folder


@pytest.fixture
def folder(free):
    """A run folder that this test holds."""
    with free.locked():
        yield free


def test_rows_are_appended_and_read_again(folder, make_config):
    assert folder.rows() == []
    folder.write_config(make_config(), RUN, 0, "cpu")
    folder.append({"epoch": 1, "fid": 3.0})
    folder.append({"epoch": 2, "fid": None})
    assert folder.rows() == [{"epoch": 1, "fid": 3.0}, {"epoch": 2, "fid": None}]
    assert [folder.has_row(epoch) for epoch in (1, 2, 3)] == [True, True, False]
    assert folder.epochs_done() == 2


def test_the_best_row_has_the_lowest_fid_of_its_protocol(folder):
    digits, inception = ({"features": name, "seed": 1} for name in ("digits", "inception"))
    folder.append({"epoch": 1, "fid": 3.0, "protocol": digits})
    folder.append({"epoch": 2, "fid": None, "protocol": digits})
    assert folder.is_best({"fid": 2.9, "protocol": digits | {"seed": 3}})
    assert not folder.is_best({"fid": 3.1, "protocol": digits | {"seed": 3}})
    assert not folder.is_best({"fid": None, "protocol": digits})
    assert folder.is_best({"fid": 20.0, "protocol": inception})


def test_an_unfinished_last_row_does_not_count_and_is_replaced(folder, make_config):
    folder.write_config(make_config(), RUN, 0, "cpu")
    folder.append({"epoch": 1, "fid": 3.0})
    folder.append({"epoch": 2, "fid": 2.0})
    whole = folder.metrics_path.read_bytes()
    for size in range(whole.index(b"\n") + 1, len(whole)):
        folder.metrics_path.write_bytes(whole[:size])
        assert folder.epochs_done() == 1
        folder.append({"epoch": 2, "fid": 2.0})
        assert folder.metrics_path.read_bytes() == whole


def test_a_damaged_row_is_named(folder):
    folder.metrics_path.write_text('{"epoch": 1}\n{"epo\n{"epoch": 3}\n')
    with pytest.raises(UserError, match=r"metrics\.jsonl line 2: damaged"):
        folder.rows()


def test_a_removed_folder_is_an_error_and_is_not_made_again(folder):
    shutil.rmtree(folder.path)
    with pytest.raises(UserError, match="was removed or moved while the run was going on"):
        folder.append({"epoch": 1})
    assert not folder.path.exists()


def test_the_folder_of_another_process_is_not_written_to(folder):
    folder.path.rename(folder.path.with_name("elsewhere"))
    other = RunFolder(folder.path)
    other.create()
    with other.locked():
        with pytest.raises(UserError, match="was removed or moved"):
            folder.append({"epoch": 7})
        assert other.rows() == []


def test_the_lock_names_its_holder_and_ends_with_it(free):
    hold = (
        "import sys, time; from train.runs.folder import RunFolder\n"
        "with RunFolder(sys.argv[1]).locked(): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, free.path], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(UserError, match=rf"is in use by process {holder.pid} on .*, since"):
        free.locked().__enter__()
    holder.kill()
    holder.wait()
    with free.locked():
        assert f"process {os.getpid()} on" in (free.path / "lock").read_text()


def test_an_old_run_is_moved_aside_whole(free, make_config):
    assert free.move_aside() is None
    for number in (1, 2):
        free.create()
        with free.locked():
            free.write_config(make_config(), RUN, 0, "cpu")
            free.append({"epoch": number})
        aside = free.move_aside()
        assert aside.name == f"old_run_{number}"
        assert RunFolder(aside).rows() == [{"epoch": number}]
        assert not free.path.exists()
    shutil.rmtree(aside.with_name("old_run_1"))
    free.create()
    free.write_config(make_config(), RUN, 0, "cpu")
    assert free.move_aside().name == "old_run_1"


def test_changes_that_are_allowed_are_applied_and_recorded(folder, make_config):
    folder.write_config(make_config(), RUN, 0, "cpu")
    folder.append({"epoch": 1})
    changes = {"train.epochs": 9, "evaluate.every": 3, "train.checkpoint_every": "5 steps"}
    for _ in range(2):
        folder.write_config(make_config(**changes), RUN, 0, "cpu")
    config, run, seed, recorded = folder.read()
    assert (config, run, seed) == (make_config(**changes), RUN, 0)
    assert recorded == yaml.safe_load(folder.config_path.read_text())["recorded"]
    assert recorded["device"] == "cpu"
    assert recorded["changes"] == [
        "after epoch 1: train.epochs: 2, now 9; train.checkpoint_every: 10 minutes, now 5 steps; "
        "evaluate.every: 1, now 3"
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"latent.dim": 7},
        {
            "data.resolution": 8,
            "model.synthesis_channels": [4],
            "model.discriminator_channels": [4],
        },
        {"data.flip": True},
        {"train.learning_rate": 0.004},
        {"train.deterministic": False},
    ],
)
def test_other_changes_are_refused(folder, make_config, change):
    folder.write_config(make_config(), RUN, 0, "cpu")
    before = folder.config_path.read_bytes()
    with pytest.raises(UserError, match=f"holds a run with other settings .*{next(iter(change))}"):
        folder.write_config(make_config(**change), RUN, 0, "cpu")
    assert folder.config_path.read_bytes() == before


@pytest.mark.parametrize(("run", "seed"), [("uniform_mse_d", 0), ("normal_dls_dg", 1)])
def test_a_copy_of_another_run_or_seed_is_refused(tmp_path, tiny, run, seed):
    """Its rows would pass for those of this run."""
    config = Config.model_validate(tiny({"experiment.seeds": [0, 1]}))
    jobs = {(job.run, job.seed): job for job in list_jobs(config, tmp_path)}
    original, job = jobs["normal_dls_dg", 0], jobs[run, seed]
    original.folder.create()
    original.folder.write_config(original.config, original.run, original.seed, "cpu")
    shutil.copytree(original.folder.path, job.folder.path)
    original.check_folder()
    before = job.folder.config_path.read_bytes()
    message = rf"{run}/seed_{seed} holds normal_dls_dg, seed 0, not {run}, seed {seed}; move it"
    with pytest.raises(UserError, match=message):
        job.check_folder()
    with pytest.raises(UserError, match=message):
        job.folder.write_config(job.config, run, seed, "cpu")
    with pytest.raises(UserError, match=message):
        prepare([job], ALONE, Measuring(tmp_path))
    assert job.folder.config_path.read_bytes() == before


@pytest.mark.parametrize("content", ["", "[1, 2]", "a: {", "data: {}"])
def test_a_damaged_config_is_one_line(folder, content):
    folder.config_path.write_text(content)
    with pytest.raises(UserError, match=r"config\.yaml: damaged"):
        folder.read()


def test_the_resolved_config_is_kept_with_device_and_packages(folder, make_config):
    config = make_config()
    assert folder.recorded() == {}
    folder.write_config(config, RUN, 3, "some device", threads=5)
    assert folder.recorded()["threads"] == 5
    written = yaml.safe_load((folder.path / "config.yaml").read_text())
    recorded = written.pop("recorded")
    assert written == config.model_dump()
    assert (recorded["run"], recorded["seed"]) == (RUN, 3)
    assert recorded["device"] == "some device"
    assert {"python", "tensorflow", "keras", "numpy", "scipy", "git_commit"} <= set(recorded)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write here: not a directory"):
        RunFolder(tmp_path / "file" / "run").create()
