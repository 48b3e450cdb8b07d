"""Checkpoints are whole and on disk before others rely on them; old ones go last."""

import os
from pathlib import Path

import pytest
import tensorflow as tf

from config import Config, UserError
from evaluate.evaluator import Evaluator
from tests.conftest import SMALLEST, TINY, merge, run_in
from train.runs.checkpoints import Checkpoints, restore_newest
from train.runs.folder import RunFolder
from train.runtime.distribution import Processes


class State:
    """What `Checkpoints` asks of a trainer, with one variable."""

    statistics = ()

    def __init__(self):
        self.variable = tf.Variable(0)
        self.processes = Processes()

    def state(self):
        return {"variable": self.variable}


@pytest.fixture
def folder(tmp_path):
    """A run folder that this test holds."""
    folder = RunFolder(tmp_path / "run")
    folder.create()
    with folder.locked():
        yield folder


def save(folder, *steps, kept=2):
    """Save checkpoints, each with its step as the variable."""
    state = State()
    checkpoints = Checkpoints(state, folder, kept)
    for step in steps:
        state.variable.assign(step)
        checkpoints.save(step)


def restore(folder):
    """(the step that was restored, the variable)."""
    state = State()
    return Checkpoints(state, folder).restore(), int(state.variable)


def test_a_loss_of_power_takes_nothing_that_a_row_stands_for(tmp_path, flushed, monkeypatch):
    """Nor does rotation remove a checkpoint before the next one is on disk."""
    folder = RunFolder(tmp_path / "some" / "run")
    lost, rows, fids = set(), [], iter([3.0, 2.0])
    measure, unlink = Evaluator.measure, os.unlink

    def fsync(number):
        flushed.fsync(number)
        status, metrics = os.fstat(number), folder.metrics_path
        if metrics.exists() and os.path.samestat(status, metrics.stat()):
            rows.append(folder.epochs_done())
            lost.update(flushed.lost(tmp_path) - {"some/run/metrics.jsonl"})

    def unlink_old(path, **options):
        if Path(path).name.startswith("step-"):
            newest = folder.saved_steps()[max(folder.saved_steps())].name
            lost.update(name for name in flushed.lost(tmp_path) if newest in name)
        unlink(path, **options)

    def measure_with_fid(self, epoch):
        row, per_image = measure(self, epoch)
        return row | {"fid": next(fids)}, per_image

    def see_row(event):
        if event.row.get("protocol"):
            lost.update(flushed.lost(tmp_path))

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "unlink", unlink_old)
    monkeypatch.setattr(Evaluator, "measure", measure_with_fid)
    changes = {"train.keep_checkpoints": 1, "train.checkpoint_every": "1 steps"}
    config = Config.model_validate(merge(TINY, SMALLEST | changes))
    run_in(config, folder.path, on_event=see_row)
    assert rows == [1, 2]
    assert lost == {"some/run/lock"}
    assert (list(folder.saved_steps()), list(folder.saved_steps(best=True))) == ([8], [8])


def test_a_checkpoint_gets_its_name_when_it_is_whole(folder, monkeypatch):
    save(folder, 1)
    write, seen = tf.train.Checkpoint.write, []

    def watched(self, path):
        write(self, path)
        seen.append(list(folder.saved_steps()))

    monkeypatch.setattr(tf.train.Checkpoint, "write", watched)
    save(folder, 2, 3)
    assert seen == [[1], [1, 2]]
    assert sorted(os.listdir(folder.checkpoints)) == [
        "checkpoint",
        *(f"step-{n}.{end}" for n in (2, 3) for end in ("data-00000-of-00001", "index")),
    ]


def test_tensorflow_reads_the_list_of_checkpoints(folder):
    save(folder, 1, 2, 3)
    path = str(folder.checkpoints)
    assert tf.train.latest_checkpoint(path) == f"{path}/step-3"
    listed = tf.train.get_checkpoint_state(path).all_model_checkpoint_paths
    assert listed == [f"{path}/step-2", f"{path}/step-3"]


def test_after_a_damaged_checkpoint_the_good_one_before_it_is_kept(folder):
    save(folder, 4, 8)
    Path(f"{folder.saved_steps()[8]}.index").write_bytes(b"")
    with pytest.warns(UserWarning, match="step-8 cannot be read"):
        assert restore(folder) == (4, 4)
    save(folder, 5)
    assert sorted(folder.saved_steps()) == [4, 5]


def test_a_checkpoint_of_tensorflows_manager_is_read(folder):
    variable = tf.Variable(7)
    checkpoint = tf.train.Checkpoint(
        variable=variable, progress=Checkpoints(State(), folder).progress
    )
    manager = tf.train.CheckpointManager(
        checkpoint, str(folder.checkpoints), 2, checkpoint_name="step"
    )
    manager.save(checkpoint_number=3)
    assert restore(folder) == (3, 7)


def test_a_checkpoint_with_more_statistics_than_the_code_knows_is_one_line(folder, monkeypatch):
    monkeypatch.setattr(State, "statistics", ("encoder_loss", "r1_penalty"))
    save(folder, 3)
    monkeypatch.setattr(State, "statistics", ("encoder_loss",))
    with pytest.raises(UserError) as refused:
        restore(folder)
    assert str(refused.value) == (
        f"{folder.checkpoints}: another version of this code saved them; they can be used (sample, "
        "reconstruct, evaluate), but not trained on; --fresh starts over, after moving the run "
        "aside"
    )


def test_checkpoints_that_a_training_replaces_meanwhile(folder, monkeypatch, recwarn):
    """At the first look step 8 is not finished; when it is, step 4 is gone."""
    save(folder, 4, 8)
    index = Path(f"{folder.saved_steps()[8]}.index")
    whole = index.read_bytes()
    index.write_bytes(b"")
    original = tf.train.Checkpoint.restore

    def go_on_training(self, path):
        try:
            return original(self, path)
        finally:
            if path.endswith("step-8") and not index.stat().st_size:
                finished = index.with_name("finished")
                finished.write_bytes(whole)
                finished.rename(index)
                for file in folder.checkpoints.glob("step-4.*"):
                    file.unlink()

    monkeypatch.setattr(tf.train.Checkpoint, "restore", go_on_training)
    variable = tf.Variable(0)
    checkpoint = tf.train.Checkpoint(variable=variable)
    assert restore_newest(checkpoint, folder, is_whole=False) == 8
    assert int(variable) == 8
    assert not [warning for warning in recwarn if "cannot be read" in str(warning.message)]


def test_a_run_that_begins_meanwhile_is_not_taken_for_a_damaged_one(folder, monkeypatch):
    saved_steps = RunFolder.saved_steps

    def look_and_begin(self):
        found = saved_steps(self)
        monkeypatch.setattr(RunFolder, "saved_steps", saved_steps)
        save(folder, 4)
        folder.append({"epoch": 1, "protocol": {}})
        return found

    monkeypatch.setattr(RunFolder, "saved_steps", look_and_begin)
    assert restore_newest(tf.train.Checkpoint(variable=tf.Variable(0)), folder) is None
