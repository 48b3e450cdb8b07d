"""An interrupted run ends as an uninterrupted one; errors leave the rest of its folder intact."""

import json
import os
import re
import resource
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml

from config import Config, UserError, in_one_line
from evaluate import evaluator, remeasure
from evaluate.evaluator import Evaluator
from tests.conftest import (
    FORKSERVER,
    SMALLEST,
    TINY,
    full_disk,
    make_job,
    merge,
    read_events,
    read_files,
    run_in,
)
from tests.survival import final_state, states_are_equal
from train import clock
from train.experiment import training
from train.monitor import Monitor
from train.runs.checkpoints import Checkpoints
from train.runs.folder import RunFolder
from train.runs.writer import RunWriter
from train.runtime.device import Device, resolve_auto
from train.step import Trainer

RUN = "normal_dls_dg"


def config(**changes):
    """The smallest config, 4 steps an epoch, 2 epochs, with some keys changed."""
    return Config.model_validate(merge(TINY, SMALLEST | changes))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two epochs, with a checkpoint of each: not to be changed."""
    return run_in(config(), tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of the finished run."""
    return RunFolder(shutil.copytree(finished.path, tmp_path / "run"))


@pytest.fixture
def half(folder):
    """The run as it was after its first epoch."""
    for file in folder.checkpoints.glob("step-8.*"):
        file.unlink()
    rows = folder.metrics_path.read_bytes()
    folder.metrics_path.write_bytes(rows[: rows.index(b"\n") + 1])
    return folder


def test_evaluating_less_often_and_saving_more_often_does_not_change_the_training(
    finished, tmp_path
):
    changes = {"evaluate.every": 2, "train.checkpoint_every": "1 steps"}
    other = run_in(config(**changes), tmp_path / "other")
    (arrays, rows), (others, other_rows) = final_state(finished.path), final_state(other.path)
    assert all(np.array_equal(arrays[name], others[name]) for name in arrays)
    for name in ("encoder_loss", "discriminator_loss", "generator_loss", "r1_penalty"):
        assert [row[name] for row in rows] == [row[name] for row in other_rows]
    assert "fake_psnr" not in other_rows[0]
    assert rows[1] == other_rows[1]
    assert (sorted(finished.saved_steps()), sorted(other.saved_steps())) == ([4, 8], [7, 8])


@pytest.fixture
def step_rows(monkeypatch):
    """The statistics of each step that the loop has looked at, in order."""
    rows = []
    look = Monitor.look

    def note(self):
        rows.extend(new := look(self))
        return new

    monkeypatch.setattr(Monitor, "look", note)
    return rows


def stop_at(epoch, step, monkeypatch):
    """A function that ends a training, as a kill does, at a step."""
    monkeypatch.setattr(clock, "MOST_SECONDS_A_CALL", 0.0)  # there is an event after each step

    def stop(event):
        if (event.epoch, event.step) == (epoch, step):
            raise KeyboardInterrupt

    return stop


@pytest.mark.long
def test_tensorboard_gets_means_of_steps_across_epochs_and_a_kill(
    finished, tmp_path, step_rows, monkeypatch
):
    """They change nothing in the training."""
    logged = config(
        **{"train.log_every": 5, "train.epochs": 3, "train.checkpoint_every": "3 steps"}
    )
    uninterrupted = run_in(logged, tmp_path / "uninterrupted")
    points = read_points(uninterrupted)
    assert {step for _, step in points} == {5, 10}
    names = {f"steps/{name}" for name in step_rows[0]} | {"steps/learning_rate"}
    assert {tag for tag, _ in points} == names
    for name in step_rows[0]:
        for last in (5, 10):
            mean = sum(row[name] for row in step_rows[last - 5 : last]) / 5
            assert points[f"steps/{name}", last] == np.float32(mean)
    assert points["steps/learning_rate", 5] == pytest.approx(0.003 * 0.98)

    with pytest.raises(KeyboardInterrupt):
        run_in(logged, tmp_path / "killed", on_event=stop_at(2, 2, monkeypatch))
    killed = RunFolder(tmp_path / "killed")
    assert (max(killed.saved_steps()), read_points(killed)) == (4, {})
    run_in(logged, killed.path)
    assert read_points(killed) == points
    assert states_are_equal(final_state(killed.path), final_state(uninterrupted.path))
    assert final_state(killed.path)[1][:2] == final_state(finished.path)[1]


def read_points(folder):
    """{(tag, step): value} of TensorBoard's curves within epochs."""
    events = read_events(folder.tensorboard)
    return {key: float(value) for key, value in events.items() if key[0].startswith("steps/")}


def test_a_checkpoint_without_gradient_norms_goes_on(finished, tmp_path, step_rows, monkeypatch):
    """Older versions saved the sums of the four losses alone."""
    saved_often = config(**{"train.checkpoint_every": "3 steps"})
    with pytest.raises(KeyboardInterrupt):
        run_in(saved_often, tmp_path / "run", on_event=stop_at(1, 4, monkeypatch))
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        checkpoints = Checkpoints(Trainer(config(), RUN), folder)
        assert checkpoints.restore() == 3
        for variable in (checkpoints.progress.sums, checkpoints.progress.counts):
            variable.assign(variable[0, :4])
        checkpoints.save(3)
    step_rows.clear()
    run_in(saved_often, folder.path)
    row, expected = folder.rows()[0], finished.rows()[0]
    for name in ("encoder_loss", "discriminator_loss", "generator_loss", "r1_penalty"):
        assert row[name] == expected[name]
    for name in ("mapper_gradient_norm", "synthesis_gradient_norm", "discriminator_gradient_norm"):
        assert row[name] == step_rows[0][name]  # of the one step since the checkpoint
    (arrays, rows), (others, other_rows) = final_state(folder.path), final_state(finished.path)
    for name in arrays:
        assert name.startswith("progress/") or np.array_equal(arrays[name], others[name])
    assert rows[1] == other_rows[1]


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["data", "index", "truncated"])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(folder, damage):
    newest = folder.saved_steps()[8]
    if damage == "truncated":
        os.truncate(f"{newest}.data-00000-of-00001", 100)
    else:
        flip_a_byte(Path(f"{newest}.{'index' if damage == 'index' else 'data-00000-of-00001'}"))
    with pytest.warns(UserWarning, match=r"step-8 cannot be read"):
        assert Checkpoints(Trainer(config(), RUN), folder).restore() == 4


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(finished, half):
    (half.checkpoints / "checkpoint").write_text("no list of checkpoints")
    newest = shutil.copy(f"{finished.saved_steps()[8]}.index", half.checkpoints)
    shutil.copy(f"{finished.saved_steps()[8]}.data-00000-of-00001", half.checkpoints)
    flip_a_byte(Path(newest))
    with pytest.warns(UserWarning, match=r"step-8 cannot be read"):
        run_in(config(), half.path)
    assert states_are_equal(final_state(half.path), final_state(finished.path))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"model_checkpoint_path: 7"])
def test_a_damaged_list_of_checkpoints_is_made_again(finished, half, content):
    (half.checkpoints / "checkpoint").write_bytes(content)
    (half.checkpoints / "step-.index").write_bytes(b"no checkpoint")
    run_in(config(), half.path)
    assert sorted(half.saved_steps()) == sorted(finished.saved_steps()) == [4, 8]
    assert states_are_equal(final_state(half.path), final_state(finished.path))


def test_with_all_checkpoints_damaged_nothing_is_trained_over_the_metrics(folder):
    rows = folder.metrics_path.read_bytes()
    for path in folder.saved_steps().values():
        flip_a_byte(Path(f"{path}.data-00000-of-00001"))
    with (
        pytest.warns(UserWarning, match="cannot be read"),
        pytest.raises(UserError, match="no checkpoint that can be read; --fresh starts over"),
    ):
        run_in(config(**{"train.epochs": 3}), folder.path)
    shutil.rmtree(folder.checkpoints)
    with pytest.raises(UserError, match="no checkpoint that can be read"):
        run_in(config(**{"train.epochs": 3}), folder.path)
    assert folder.metrics_path.read_bytes() == rows


def test_the_last_checkpoints_and_the_best_one_are_kept(tmp_path, monkeypatch):
    fids = {1: 5.0, 2: 3.0, 3: 4.0, 4: 6.0}
    original = Evaluator.measure

    def measure(self, epoch):
        row, per_image = original(self, epoch)
        return row | {"fid": fids[epoch]}, per_image

    monkeypatch.setattr(Evaluator, "measure", measure)
    changes = {"train.epochs": 4, "train.keep_checkpoints": 1}
    folder = run_in(config(**changes), tmp_path / "run")
    assert list(folder.saved_steps()) == [16]
    assert list(folder.saved_steps(best=True)) == [8]


def test_a_finished_run_gets_no_further_files(finished, folder):
    """Where all processes of a cluster go through it again."""
    before = read_files(folder.path)
    run_in(config(), folder.path)
    assert final_state(folder.path)[1] == final_state(finished.path)[1]
    after = read_files(folder.path)
    kept = [path for path in before if path.is_file() and path.parent != folder.checkpoints]
    kept.remove(folder.lock_path)
    assert [after[path] for path in kept] == [before[path] for path in kept]
    assert after.keys() == before.keys()
    assert len(list(folder.tensorboard.iterdir())) == 1


def test_what_a_kill_left_of_a_checkpoint_is_removed(half, finished):
    """TensorFlow's list does not name it if the kill came between the two."""
    known = (half.checkpoints / "checkpoint").read_bytes()
    for file in finished.checkpoints.glob("step-8.*"):
        shutil.copy(file, half.checkpoints / file.name.replace("step-8", "step-3"))
    (half.checkpoints / "step-7_temp").mkdir()
    (half.checkpoints / "checkpoint").write_bytes(known)
    run_in(config(), half.path)
    assert sorted(half.saved_steps()) == [4, 8]
    assert not list(half.checkpoints.glob("*_temp"))
    assert states_are_equal(final_state(half.path), final_state(finished.path))


def test_a_run_goes_on_with_the_cores_it_began_with(half, monkeypatch):
    values = yaml.safe_load(half.config_path.read_text())
    assert values["recorded"]["threads"] == os.cpu_count()
    values["recorded"]["threads"] = 7
    half.config_path.write_text(yaml.safe_dump(values))
    used = []

    def set_up_device(train_config, threads, recorded):
        used.append(threads)
        return Device("CPU", resolve_auto(train_config, recorded))

    monkeypatch.setattr(training, "set_up_device", set_up_device)
    run_in(config(), half.path, threads=1)
    assert used == [7]


def test_a_run_goes_on_in_the_precision_it_began_with(half, monkeypatch):
    values = yaml.safe_load(half.config_path.read_text())
    assert values["recorded"]["precision"] == "float32"
    assert values["recorded"]["jit_compile"] is False
    values["recorded"] |= {"precision": "mixed_bfloat16", "jit_compile": True}
    half.config_path.write_text(yaml.safe_dump(values))
    opened = []

    def train_run(config, trainer, *_):
        opened.append(trainer)
        raise UserError("that is enough")

    def open_evaluator(config, model, *_):
        opened.append(model)
        raise UserError("that is enough")

    monkeypatch.setattr(training, "train_run", train_run)
    with pytest.raises(UserError, match="enough"):
        run_in(config(), half.path)
    monkeypatch.setattr(evaluator, "Evaluator", open_evaluator)
    with pytest.raises(UserError, match="enough"):
        remeasure.remeasure(half.path)
    trainer, model = opened
    assert trainer.train_config.precision == "mixed_bfloat16"
    assert trainer.train_config.jit_compile is True
    for networks in (trainer.networks, model.networks):
        assert networks.synthesis.get_layer("8_conv").compute_dtype == "bfloat16"


def test_a_run_that_sets_precision_to_auto_keeps_the_one_it_began_with(tmp_path, monkeypatch):
    runs = {"mine": {"set": {"train.precision": "auto"}}}
    job = make_job(config(**{"experiment.runs": runs}), tmp_path / "run", "mine")
    job.folder.create()
    begun_with = {"precision": "mixed_float16", "jit_compile": False}  # never a CPU's choice
    job.folder.write_config(job.config, job.run, job.seed, "cpu", **begun_with)
    opened = []
    monkeypatch.setattr(training, "train_run", lambda config, trainer, *_: opened.append(trainer))
    run_in(config(**{"experiment.runs": runs}), job.folder.path, "mine")
    assert opened[0].train_config.precision == "mixed_float16"


def test_a_loss_that_is_not_finite_stops_the_run_before_anything_is_saved(half):
    """Even where each step is saved."""
    folder = half
    values = yaml.safe_load(folder.config_path.read_text())
    values["train"]["r1_weight"] = 1e38
    folder.config_path.write_text(yaml.safe_dump(values))
    broken = config(**{"train.r1_weight": 1e38, "train.checkpoint_every": "1 steps"})
    rows = folder.metrics_path.read_bytes()
    with pytest.raises(
        UserError, match="training diverged: discriminator_loss is inf at step 5"
    ) as raised:
        run_in(broken, folder.path)
    assert folder.metrics_path.read_bytes() == rows
    assert f"{folder.path}/divergence.json" in str(raised.value)
    report = json.loads((folder.path / "divergence.json").read_text())
    assert (report["quantity"], report["step"]) == ("discriminator_loss", 5)
    assert report["last_steps"][-1]["discriminator_loss"] == "inf"
    assert np.isfinite(report["last_steps"][-1]["encoder_loss"])
    assert report["last_good_checkpoint"] == max(folder.saved_steps()) == 4
    arrays, _ = final_state(folder.path)
    assert all(np.all(np.isfinite(array)) for array in arrays.values())


def test_a_loss_that_is_not_finite_before_any_checkpoint(tmp_path):
    with pytest.raises(UserError) as raised:
        run_in(config(**{"train.r1_weight": 1e38}), tmp_path / "run")
    assert str(raised.value) == (
        "training diverged: discriminator_loss is inf at step 1; try a smaller "
        f"train.learning_rate. The last steps are in {tmp_path}/run/divergence.json; there was no "
        "checkpoint yet"
    )


def train_with_memory(size, config, folder, answers):
    """Train with `size` bytes more than TensorFlow takes at its start; answer with the error."""
    status = Path("/proc/self/status").read_text()
    size += int(re.search(r"VmSize:\s+(\d+)", status)[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    try:
        run_in(config, folder, threads=1)
        answer = "trained"
    except UserError as error:
        answer = str(error)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)  # to say so
    answers.put(answer)


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not limit memory")
def test_no_memory_left_is_one_line(tmp_path):
    large = config(**{"model.style_units": 8192})  # 270 MB a layer
    answers = FORKSERVER.Queue()
    arguments = (600_000_000, large, tmp_path / "run", answers)
    process = FORKSERVER.Process(target=train_with_memory, args=arguments)
    process.start()
    message = answers.get(timeout=120)
    process.join()
    assert message.startswith("out of memory; try smaller batches, or fewer --jobs (OOM when alloc")
    assert "\n" not in message


def test_a_full_disk_is_one_line_and_leaves_what_was_there(finished, half):
    folder = half
    expected = final_state(folder.path)
    size = 20_000  # a checkpoint, which comes first, is larger
    with full_disk(size), pytest.raises(UserError, match="File too large") as raised:
        run_in(config(), folder.path)
    assert f"{folder.checkpoints}: cannot save a checkpoint:" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert states_are_equal(final_state(folder.path), expected)
    run_in(config(), folder.path)
    assert states_are_equal(final_state(folder.path), final_state(finished.path))


def test_a_full_disk_is_not_taken_for_a_lack_of_memory(half, monkeypatch):
    path = half.tensorboard / "events.out.tfevents.1"

    def create_file_writer(folder):
        text = (
            f"{{{{function_node __wrapped__}}}} {path}; No space left on device [Op:Create] name: "
        )
        raise tf.errors.ResourceExhaustedError(None, None, text)

    monkeypatch.setattr(tf.summary, "create_file_writer", create_file_writer)
    with pytest.raises(UserError) as raised:
        run_in(config(), half.path)
    assert str(raised.value) == f"{path}: no space left on device"


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (100, "per_image.npz: file too large"),
        (1000, "scale.npy: file too large"),
    ],
)
def test_a_full_disk_names_the_array_that_does_not_fit(tmp_path, size, message):
    writer = RunWriter(RunFolder(tmp_path), is_chief=True)
    sheet = np.zeros((2, 2, 3), np.uint8)
    arrays = np.zeros(1000, np.float32), {"fake_psnr": np.zeros(4, np.float32)}
    with full_disk(size), pytest.raises(OSError, match=r"per_image|scale") as raised:
        writer.write_pictures(1, {"sheet": sheet}, *arrays)
    assert in_one_line(raised.value) == f"{tmp_path}/images/epoch_0001/{message}"


def test_a_removed_run_folder_is_one_line(tmp_path):
    def remove(event):
        if event.row.get("epoch") == 1:
            shutil.rmtree(tmp_path / "run")

    with pytest.raises(UserError, match="was removed or moved while the run was going on"):
        run_in(config(), tmp_path / "run", on_event=remove)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_second_process_on_a_run_is_refused(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    with (
        folder.locked(),
        pytest.raises(UserError, match=f"is in use by process {os.getpid()} on"),
    ):
        run_in(config(), folder.path)
    assert not folder.config_path.exists()
