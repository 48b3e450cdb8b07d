"""The folder of a run: its rows, its lock, its config and what may change in it."""

import json
import math
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
PROTOCOL = {"features": "none"}


def row(epoch, **values):
    return {"epoch": epoch, "protocol": PROTOCOL} | values


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
    rows = [row(1, fid=3.0, step=4), row(2, fid=None, step=8)]
    for each in rows:
        folder.append(each)
    assert folder.rows() == rows
    assert [folder.last_step(epoch) for epoch in (1, 2, 3)] == [4, 8, None]
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
    folder.append(row(1, fid=3.0))
    folder.append(row(2, fid=2.0))
    whole = folder.metrics_path.read_bytes()
    for size in range(whole.index(b"\n") + 1, len(whole)):
        folder.metrics_path.write_bytes(whole[:size])
        assert folder.epochs_done() == 1
        folder.append(row(2, fid=2.0))
        assert folder.metrics_path.read_bytes() == whole


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"epo', "Invalid JSON: EOF while parsing a string at column 5"),
        ("[" * 100_000, "Invalid JSON: recursion limit exceeded at column 202"),
        ("5", "takes keys with values, {KEY: VALUE}. Received: 5"),
        ("[1]", "takes keys with values, {KEY: VALUE}. Received: [1]"),
        ('{"epoch": 2}', "protocol: this key is needed"),
        (row("two"), "epoch: should be a valid integer. Received: 'two'"),
        (row(0), "epoch: should be greater than or equal to 1. Received: 0"),
        (row(2, step=2.5), "step: should be a valid integer. Received: 2.5"),
        (row(2, fid="low"), "fid: takes a number or null. Received: 'low'"),
        (row(2, fid="x" * 200),
         f"fid: takes a number or null. Received: '{'x' * 46}...{'x' * 47}'"),
        (row(2, fid=1e101), "fid: takes numbers up to 1e+100. Received: 1e+101"),
        (row(2, fid=True), "fid: takes a number or null. Received: True"),
        (row(2, intervals={"fid": [1]}), "intervals.fid: takes [low, high]. Received: [1]"),
        (row(2, intervals={"fid": ["a", 2]}),
         "intervals.fid.0: takes a number or null. Received: 'a'"),
        (row(2, protocol=None), "protocol: takes keys with values, {KEY: VALUE}. Received: None"),
        (row(2, protocol={"seed": [1]}), "protocol.seed: takes a text or a number. Received: [1]"),
    ],
)  # fmt: skip
def test_a_damaged_row_is_named_with_its_key(folder, line, fault):
    lines = [json.dumps(row(1)), line if isinstance(line, str) else json.dumps(line)]
    folder.metrics_path.write_text("".join(f"{each}\n" for each in [*lines, lines[0]]))
    with pytest.raises(UserError) as caught:
        folder.rows()
    where = f"{folder.metrics_path} line 2: damaged: "
    assert str(caught.value) == f"{where}{fault}; repair it, or move the file"


def test_rows_of_other_versions_can_be_read(folder):
    """What is not finite was not measured; a key that nobody knows is kept."""
    lines = [
        '{"epoch": 1, "protocol": {"features": "none"}}',
        '{"fid": NaN, "new": 7, "epoch": 2, "intervals": {"fid": [NaN, 2.0]}, "protocol": {}}',
        '{"epoch": 3, "fake_psnr": Infinity, "real_psnr": -Infinity, "protocol": {}}',
        '{"epoch": 4, "fid": 1e999, "intervals": {"fid": [1, 2.5]}, "protocol": {}}',
    ]
    folder.metrics_path.write_text("".join(f"{line}\n" for line in lines))
    assert folder.rows() == [
        row(1),
        {"fid": None, "new": 7, "epoch": 2, "intervals": {"fid": None}, "protocol": {}},
        {"epoch": 3, "fake_psnr": None, "real_psnr": None, "protocol": {}},
        {"epoch": 4, "fid": None, "intervals": {"fid": [1, 2.5]}, "protocol": {}},
    ]
    assert type(folder.rows()[1]["new"]) is int


def test_what_is_not_finite_is_written_as_null(folder):
    folder.append(row(1, fake_psnr=math.inf, intervals={"fake_psnr": [math.nan, math.nan]}))
    (line,) = folder.metrics_path.read_text().splitlines()
    assert json.loads(line) == row(1, fake_psnr=None, intervals={"fake_psnr": [None, None]})
    assert folder.rows() == [row(1, fake_psnr=None, intervals={"fake_psnr": None})]


def test_pipes_in_the_place_of_files_are_not_waited_for(folder):
    folder.checkpoints.mkdir()
    for path in (folder.config_path, folder.metrics_path, folder.checkpoints / "step-4.index"):
        os.mkfifo(path)
    for read, path in ((folder.read, folder.config_path), (folder.rows, folder.metrics_path)):
        with pytest.raises(UserError) as caught:
            read()
        assert str(caught.value) == f"{path} is not a regular file"
    assert folder.saved_steps() == {}


def test_a_removed_folder_is_an_error_and_is_not_made_again(folder):
    shutil.rmtree(folder.path)
    with pytest.raises(UserError, match="was removed or moved while the run was going on"):
        folder.append(row(1))
    assert not folder.path.exists()


def test_the_folder_of_another_process_is_not_written_to(folder):
    folder.path.rename(folder.path.with_name("elsewhere"))
    other = RunFolder(folder.path)
    other.create()
    with other.locked():
        with pytest.raises(UserError, match="was removed or moved"):
            folder.append(row(7))
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
            free.append(row(number))
        aside = free.move_aside()
        assert aside.name == f"old_run_{number}"
        assert RunFolder(aside).rows() == [row(number)]
        assert not free.path.exists()
    shutil.rmtree(aside.with_name("old_run_1"))
    free.create()
    free.write_config(make_config(), RUN, 0, "cpu")
    assert free.move_aside().name == "old_run_1"


def test_changes_that_are_allowed_are_applied_and_recorded(folder, make_config):
    folder.write_config(make_config(), RUN, 0, "cpu")
    folder.append(row(1))
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


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"threads": "two"}, "recorded.threads: should be a valid integer. Received: 'two'"),
        ({"images": {"train": 2}}, "recorded.images.train_digest: this key is needed (and 2 more)"),
        ({"threads": 0}, "recorded.threads: should be greater than or equal to 1. Received: 0"),
        ({"precision": "foo"}, "recorded.precision: should be 'float32', 'mixed_bfloat16' or "
         "'mixed_float16'. Received: 'foo'"),
        ({"seed": "abc"}, "recorded.seed: should be a valid integer. Received: 'abc'"),
        ({"jit_compile": "no"}, "recorded.jit_compile: should be a valid boolean. Received: 'no'"),
        ({"run": 5}, "recorded.run: takes text; a number or date needs quotes. Received: 5"),
        ({"changes": {}}, "recorded.changes: takes a list, [VALUE, ...]. Received: {}"),
        ({"imported": "x"},
         "recorded.imported: takes keys with values, {KEY: VALUE}. Received: 'x'"),
    ],
)  # fmt: skip
def test_an_edited_record_is_named_with_its_key(folder, make_config, changes, fault):
    folder.write_config(make_config(), RUN, 0, "cpu")
    values = yaml.safe_load(folder.config_path.read_text())
    values["recorded"] |= {"of_a_later_version": [1]}
    folder.config_path.write_text(yaml.safe_dump(values))
    assert folder.recorded()["of_a_later_version"] == [1]
    values["recorded"] |= changes
    folder.config_path.write_text(yaml.safe_dump(values))
    with pytest.raises(UserError) as caught:
        folder.recorded()
    assert str(caught.value) == f"{folder.config_path}: damaged: {fault}"


def test_a_record_without_run_or_seed_is_damaged(folder, make_config):
    folder.write_config(make_config(), RUN, 0, "cpu")
    whole = yaml.safe_load(folder.config_path.read_text())
    for recorded, fault in (
        ({"run": RUN}, "recorded.seed: this key is needed"),
        (5, "recorded: takes keys with values, {KEY: VALUE}. Received: 5"),
    ):
        folder.config_path.write_text(yaml.safe_dump(whole | {"recorded": recorded}))
        with pytest.raises(UserError) as caught:
            folder.read()
        assert str(caught.value) == f"{folder.config_path}: damaged: {fault}"


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
