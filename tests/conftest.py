"""A tiny configuration, made-up experiments and real image files, for all tests.

TensorFlow is imported where it is needed: pytest-xdist imports this file once more, before it
starts the processes that run the tests.
"""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import resource
import shutil
import stat
import sys
import zipfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import yaml

import main
from config import Config, resolve_run
from train.experiment import all_jobs
from train.experiment.jobs import Job
from train.experiment.preparation import prepare
from train.runs.folder import RunFolder

TINY = {
    "experiment": {"name": "tiny", "runs": ["normal_dls_dg", "uniform_mse_d"]},
    "data": {"source": "digits", "resolution": 16, "train_size": 16, "test_size": 8},
    "latent": {"dim": 6, "variance_window": 5},
    "model": {
        "style_units": 8,
        "mapper_layers": 2,
        "base_channels": 8,
        "synthesis_channels": [8, 4],
        "discriminator_channels": [4, 8],
    },
    "train": {
        "batch_size": 4,
        "epochs": 2,
        "learning_rate": 0.003,
        "r1_weight": 1.0,
        "precision": "float32",
    },
    "evaluate": {"batch_size": 4, "features": "none"},
}

STYLED = TINY | {
    "model": {"backbone": "stylegan2", "style_units": 6, "mapping_layers": 2, "channel_base": 32}
}
SMALLEST = {  # at 8x8 a step is traced in half the time
    "data.resolution": 8,
    "model.synthesis_channels": [4],
    "model.discriminator_channels": [4],
}
MEAN_STYLE = 0.5  # every element of the mean style of the run with styles
TEST_SIZE = 64  # of the run with random weights
FORKSERVER = multiprocessing.get_context("forkserver")  # TensorFlow is imported once
FORKSERVER.set_forkserver_preload(
    ["train.runtime.preloaded", "tests.survival", "tests.distributed"]
)
PROTOCOL = {"features": "digit-classifier features", "real_images": 9, "fake_images": 8}


pytest_plugins = ["tests.budget"]


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="long tests too, marked `long`")
    parser.addoption(
        "--recorded",
        type=Path,
        default=Path(__file__).parent / "recorded" / "backbones",
        help="the folder of numbers recorded from the authors' code of five GANs",
    )


def pytest_collection_modifyitems(config, items):
    """Leave out long tests, unless they are asked for."""
    if not config.getoption("all"):
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def merge(values, changes):
    """The nested dict `values` with `changes`, given as {"section.key": value}."""
    merged = {section: dict(keys) for section, keys in values.items()}
    for name, value in changes.items():
        section, key = name.split(".")
        merged[section][key] = value
    return merged


@pytest.fixture
def tiny(tmp_path):
    """A function: the tiny config as a dict, with some keys changed."""

    def make(changes):
        return merge(TINY, {"data.cache_folder": str(tmp_path / "data")} | changes)

    return make


@pytest.fixture
def make_config(tiny):
    """A function: the tiny config with some keys changed, such as **{"train.epochs": 3}."""

    def make(**changes):
        return Config.model_validate(tiny(changes))

    return make


@pytest.fixture
def config_file(tmp_path, tiny):
    """A function: the path of a YAML file with the tiny config, some keys changed."""

    def write(**changes):
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(tiny(changes)))
        return path

    return write


@pytest.fixture
def command(monkeypatch, capfd):
    """A function: run a command in this process; returns (exit code, output, error output).

    Preparations are made and runs trained in this process too, where tests can reach into them.
    """
    monkeypatch.setattr(all_jobs, "prepare_apart", prepare)
    monkeypatch.setattr(all_jobs, "run_jobs", run_jobs_here)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["main.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        output, errors = capfd.readouterr()
        return ended.value.code or 0, output, errors

    return run


def run_jobs_here(jobs, cluster, measuring, on_event, jobs_at_once, gpus=0):
    """In place of `run_jobs`: one job after the other, in this process."""
    from train.experiment.training import run_job

    for job in jobs:
        run_job(job, cluster, measuring, on_event)
    return []


@pytest.fixture
def browser():
    """A headless Chromium, of Playwright's."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="pip install -r requirements-optional.txt"
    )
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium")
    with api.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def empty_curves(monkeypatch):
    """Curves are drawn as empty figures, for tests about other things: drawing takes seconds."""
    from matplotlib.figure import Figure

    empty = Figure(figsize=(1, 1))
    monkeypatch.setattr("evaluate.report.figures.draw_chart", lambda chart: empty)


def assert_user_error(code, errors, message):
    """Assert that a command ended as one does after a mistake of the user."""
    assert code == 2
    assert errors.count("\n") == 1, errors
    assert message in errors


@contextlib.contextmanager
def full_disk(size):
    """Within, no file can grow beyond `size` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class Flushed:
    """What was flushed to disk: files as they were then, folders with the names in them."""

    def __init__(self):
        self._files, self._names = {}, {}

    def fsync(self, number):
        """In place of os.fsync: nothing is really flushed, which takes time."""
        status = os.fstat(number)
        if stat.S_ISDIR(status.st_mode):
            self._names[status.st_ino] = set(os.listdir(number))
        else:
            self._files[status.st_ino] = status.st_mtime_ns, status.st_size

    def lost(self, folder):
        """What a loss of power would take of a folder: names of files and folders below it."""
        lost = set()
        for path in folder.rglob("*"):
            status = path.stat()
            written = status.st_mtime_ns, status.st_size
            is_flushed = path.is_dir() or self._files.get(status.st_ino) == written
            if not is_flushed or path.name not in self._names.get(path.parent.stat().st_ino, ()):
                lost.add(path.relative_to(folder).as_posix())
        return lost


@pytest.fixture
def flushed(monkeypatch):
    """A `Flushed` that notes all calls of os.fsync."""
    flushed = Flushed()
    monkeypatch.setattr(os, "fsync", flushed.fsync)
    return flushed


@contextlib.contextmanager
def eagerly():
    """Within, TensorFlow's functions are not traced: that takes longer than a step or two."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def untraced():
    with eagerly():
        yield


def run_in(
    config,
    path,
    run="normal_dls_dg",
    on_event=lambda event: None,
    threads=None,
    accept_new_data=False,
):
    """Train a run, in this process, in any folder; returns the folder."""
    from evaluate.measuring import Measuring
    from train.experiment.training import run_job
    from train.runtime.cluster import read_cluster

    job = dataclasses.replace(make_job(config, path, run), accept_new_data=accept_new_data)
    cluster = read_cluster(config.train.distribution)
    run_job(job, cluster, Measuring(path / "out"), on_event, threads)
    return job.folder


def forget_last_epoch(folder):
    """Remove the newest checkpoint and the last row of a run: it is as after the epoch before."""
    for file in folder.checkpoints.glob(f"step-{max(folder.saved_steps())}.*"):
        file.unlink()
    rows = folder.metrics_path.read_bytes().splitlines(keepends=True)
    folder.metrics_path.write_bytes(b"".join(rows[:-1]))


def read_files(folder):
    """{path: (time of its last change, content)} of all files and folders in a folder."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


def make_job(config, path, run="normal_dls_dg", seed=0):
    """The job of a run in any folder."""
    return Job(run, seed, RunFolder(path), resolve_run(config, run))


def write_run(config, path, run="normal_dls_dg", **begun_with):
    """Make a run folder of networks with fresh random weights; returns the trainer.

    The traced variances of the recovered latents lie between 0.1 and 1, in no order.
    """
    from train.methods import make_trainer
    from train.runs.checkpoints import Checkpoints

    config = resolve_run(config, run)
    trainer = make_trainer(config, None)
    variances = np.linspace(1.0, 0.1, config.latent.dim, dtype=np.float32)
    variances = np.random.default_rng(0).permutation(variances)
    trainer.variance_window.assign(np.broadcast_to(variances, trainer.variance_window.shape))
    folder = RunFolder(path)
    folder.create()
    folder.write_config(config, run, 0, "CPU", precision="float32", **begun_with)
    with folder.locked():
        Checkpoints(trainer, folder).save(0)
    return trainer


def write_folder(path, files):
    """Write {name: bytes} as files in a folder; returns the `data.source`."""
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return f"folder:{path}"


def flip_bits(content, count):
    """Copies of some bytes, each with another bit flipped."""
    generator = np.random.default_rng(0)
    for place in generator.integers(0, len(content), count).tolist():
        flipped = bytes([content[place] ^ 1 << generator.integers(8)])
        yield content[:place] + flipped + content[place + 1 :]


def write_zip(path, files):
    """Write {name: bytes} into a zip file; returns the `data.source`."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return f"zip:{path}"


def lock(monkeypatch, name):
    """Make folders of this name unreadable, for root too."""
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith(f"/{name}"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


@pytest.fixture
def photos():
    """A function: n encoded images of different sizes as {name: bytes}: JPEG, grey JPEG and PNG."""
    import tensorflow as tf

    def make(count, seed=0):
        generator = np.random.default_rng(seed)
        files = {}
        for index in range(count):
            shape = (20 + index, 31, (3, 1, 4)[index % 3])
            image = generator.integers(0, 256, shape, dtype=np.uint8)
            encode, ending = (
                (tf.io.encode_jpeg, "jpg"),
                (tf.io.encode_jpeg, "JPEG"),
                (tf.io.encode_png, "png"),
            )[index % 3]
            files[f"photo_{index:03d}.{ending}"] = encode(image).numpy()
        return files

    return make


def write_measured_run(
    experiment, name, seed=0, offset=0.0, epochs=3, changes=None, protocol=PROTOCOL
):
    """The folder of a made-up run: each metric is 10 times the epoch, plus an offset.

    `changes` to the config are {"section.key": value}; `protocol` stands in all rows.
    """
    from evaluate.metrics.table import METRICS

    folder = experiment / name / f"seed_{seed}"
    folder.mkdir(parents=True)
    values = merge(TINY, {"latent.dim": 10} | (changes or {}))
    values |= {"recorded": {"run": name, "seed": seed}}
    (folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    rows = [
        {name: 10.0 * epoch + offset for name, metric in METRICS.items() if metric.title}
        | {"epoch": epoch, "protocol": protocol}
        for epoch in range(1, epochs + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def write_sheets(folder, epoch):
    """Sheets of noise, other ones in each epoch."""
    from data.storage import save_image
    from evaluate.sheets import tile

    images = np.random.default_rng(epoch).uniform(-1, 1, (64, 16, 16, 3))
    groups = {"samples": 1, "fake_reconstructed": 2, "real_reconstructed": 2}
    for name, group in (groups | {f"interpolation_{rank}": 1 for rank in range(1, 9)}).items():
        sheet = tile(images, group=group)
        save_image(folder / "images" / f"epoch_{epoch:04d}" / f"{name}.png", sheet)


def read_events(folder):
    """{(tag, step): value} of TensorBoard's event files: images as arrays, histograms as rows of
    (left, right, count)."""
    import tensorflow as tf
    from tensorboard.compat.proto import event_pb2

    values = {}
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        for record in tf.data.TFRecordDataset(str(path)):
            event = event_pb2.Event.FromString(record.numpy())
            for value in event.summary.value:
                content = tf.make_ndarray(value.tensor)
                if value.metadata.plugin_data.plugin_name == "images":
                    content = tf.io.decode_png(content[2]).numpy()  # after width and height
                values[value.tag, event.step] = content
    return values


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    """The trainer of a run with random weights; the attribute `path` is its folder."""
    config = Config.model_validate(merge(TINY, SMALLEST | {"data.test_size": TEST_SIZE}))
    path = tmp_path_factory.mktemp("experiment") / "run"
    trainer = write_run(config, path, imported={"mapper": "mapper.h5, SHA-256 0123"})
    trainer.path = path
    return trainer


@pytest.fixture(scope="module")
def trained(trainer):
    """The `TrainedRun` of the trainer's run."""
    from evaluate.trained_run import TrainedRun

    return TrainedRun(trainer.path)


@pytest.fixture(scope="module")
def styled(tmp_path_factory):
    """The folder of a run with styles, six for an image of 16x16."""
    from train.runs.checkpoints import Checkpoints

    path = tmp_path_factory.mktemp("experiment") / "run"
    trainer = write_run(Config.model_validate(STYLED), path)
    trainer.networks.mean_style.assign(np.full(6, MEAN_STYLE))
    folder = RunFolder(path)
    with folder.locked():
        Checkpoints(trainer, folder).save(0)
    return path


@pytest.fixture
def to_folder(command, trainer, tmp_path):
    """A function: run a command on the trainer's run; returns the folder with what it made."""

    def run(name, *arguments):
        out = tmp_path / "out" / name
        code, output, errors = command(name, trainer.path, *arguments, "--out", out)
        assert (code, errors) == (0, "")
        assert f"all of it is in {out}" in output
        return out

    return run


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A run with checkpoints of steps 0, 4 and, as the best, 2; s tells them apart."""
    from train.runs.checkpoints import Checkpoints

    config = Config.model_validate(merge(TINY, SMALLEST))
    path = tmp_path_factory.mktemp("experiment") / "run"
    trainer = write_run(config, path)
    folder = RunFolder(path)
    with folder.locked():
        checkpoints = Checkpoints(trainer, folder)
        for step, save in ((2, checkpoints.save_best), (4, checkpoints.save)):
            trainer.variance_window[:, 0].assign([float(step)] * 5)
            checkpoints.progress.epoch.assign(step // 2)
            save(step)
            row = {"encoder_loss": 0.5, "fake_psnr": 20.0, "protocol": PROTOCOL}
            folder.append({"epoch": step // 2, "step": step, **row, "fid": 10.0 + step})
    return path
