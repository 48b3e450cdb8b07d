"""The command line as a user meets it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

import main
from config import load, resolve_run
from evaluate.measuring import Measuring
from models.latent import differential_entropy
from tests.conftest import (
    SMALLEST,
    assert_user_error,
    eagerly,
    make_job,
    read_events,
    read_files,
    write_measured_run,
    write_run,
)
from train.experiment import all_jobs
from train.experiment.jobs import list_jobs
from train.experiment.launch import default_jobs_at_once, run_jobs
from train.experiment.preparation import prepare, prepare_apart
from train.runs.folder import RunFolder
from train.runtime import processes
from train.runtime.cluster import ALONE
from train.runtime.processes import FaultError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def config_file(config_file):
    return lambda **changes: config_file(**SMALLEST | changes)


def same_in_tensorboard(folder):
    """Scalars, sheets and s of each epoch are those in the folder."""
    shown = read_events(folder.tensorboard)
    for row in folder.rows():
        epoch = row["epoch"]
        assert shown["encoder_loss", epoch] == pytest.approx(row["encoder_loss"])
        sheets = list(folder.images(epoch).glob("*.png"))
        assert len(sheets) == 4 + 6
        for path in sheets:
            picture = shown[path.stem, epoch]
            np.testing.assert_array_equal(picture, tf.io.decode_png(path.read_bytes()))
        scale = np.load(folder.images(epoch) / "scale.npy")
        assert (scale.shape, scale.dtype) == ((6,), np.float32)
        assert np.mean(scale**2) == pytest.approx(1.0)
        left, right, counts = shown["scale", epoch].T
        assert (left[0], right[-1]) == pytest.approx((scale.min(), scale.max()))
        assert counts.sum() == 6
        entropy = differential_entropy(scale, folder.read().config.latent.prior)
        assert row["latent_entropy"] == pytest.approx(float(entropy), rel=1e-5)


def test_reproduce_trains_all_runs_once_and_draws_the_figures(
    config_file, command, tmp_path, monkeypatch
):
    monkeypatch.setattr(all_jobs, "prepare_apart", prepare_apart)  # as a user has it
    monkeypatch.setattr(all_jobs, "run_jobs", run_jobs)
    arguments = ("reproduce", config_file(), "--out", tmp_path, "--jobs", "2")
    code, output, errors = command(*arguments)
    assert (code, errors) == (0, "")
    assert "2 of 2 runs to train" in output
    assert "figures 1, " not in output  # no features, no FID
    experiment = tmp_path / "tiny"
    for name in ("normal_dls_dg", "uniform_mse_d"):
        folder = experiment / name / "seed_0"
        first, second = RunFolder(folder).rows()
        assert (first["epoch"], first["step"], first["images_seen"]) == (1, 4, 16)
        assert (second["epoch"], second["step"], second["images_seen"]) == (2, 8, 32)
        assert second["learning_rate"] == pytest.approx(0.003 * 0.98)
        assert second["fid"] is None
        assert np.isfinite([second["encoder_loss"], second["fake_psnr"], second["real_ssim"]]).all()
        assert {file.stem for file in (folder / "images" / "epoch_0002").iterdir()} > {"samples"}
        same_in_tensorboard(RunFolder(folder))
    for number in (3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17):
        assert (experiment / "figures" / f"figure_{number:02d}.png").exists()
    assert f"all on one page: {experiment / 'report.html'}" in output
    assert "normal_dls_dg, seed 0" in (experiment / "report.html").read_text(encoding="utf-8")
    before = (experiment / "normal_dls_dg" / "seed_0" / "metrics.jsonl").read_bytes()

    monkeypatch.setattr(all_jobs, "prepare_apart", prepare)
    code, output, _ = command(*arguments)
    assert code == 0
    assert "0 of 2 runs to train" in output
    assert (experiment / "normal_dls_dg" / "seed_0" / "metrics.jsonl").read_bytes() == before


def test_train_goes_on_and_fresh_starts_over(config_file, command, tmp_path):
    def train(*arguments):
        with eagerly():
            common = (config_file(), "--run", "normal_mse_d", "--out", tmp_path)
            return command("train", *common, *arguments)

    one_epoch = ("--set", "train.epochs=1")
    folder = tmp_path / "tiny" / "normal_mse_d" / "seed_0"
    code, output, _ = train(*one_epoch)
    assert (code, "goes on" in output) == (0, False)
    (first,) = RunFolder(folder).rows()
    code, output, _ = train()
    assert (code, "normal_mse_d goes on after epoch 1 of 2, step 4\n" in output) == (0, True)
    assert [row["epoch"] for row in RunFolder(folder).rows()] == [1, 2]
    assert RunFolder(folder).rows()[0] == first
    before = (folder / "metrics.jsonl").read_bytes()

    files = read_files(folder)
    assert train("--set", "evaluate.every=2") == (0, "complete: 2 of 2 epochs\n", "")
    message = f"error: {folder}: 2 epochs are done; train.epochs takes 2 or more. Received: 1\n"
    assert train(*one_epoch) == (2, "", message)
    assert read_files(folder) == files

    code, output, _ = train(*one_epoch, "--fresh", "--set", "latent.dim=7")
    aside = folder.with_name("old_seed_0_1")
    assert code == 0
    assert f"moved {folder} to {aside}" in output
    assert (aside / "metrics.jsonl").read_bytes() == before
    (row,) = RunFolder(folder).rows()
    assert row["latent_entropy"] > first["latent_entropy"]  # of 7 elements, not of 6


def test_a_run_goes_on_in_its_folder_wherever_that_is(config_file, command, tmp_path):
    """As an imported run, whose folder may have any name."""
    config = load(config_file(**{"train.epochs": 1}))
    folder = RunFolder(tmp_path / "anywhere" / "mine")
    write_run(config, folder.path, imported={"mapper": "mapper.h5"})
    resume = ("train", "--resume", folder.path)
    with eagerly():
        code, output, errors = command(*resume)
        assert (code, errors) == (0, "")
        assert f"metrics, images and checkpoints are in {folder.path}\n" in output
        assert [row["step"] for row in folder.rows()] == [4]
        code, output, _ = command(*resume, "--set", "train.epochs=2")
    assert (code, "normal_dls_dg goes on after epoch 1 of 2, step 4\n" in output) == (0, True)
    assert [row["step"] for row in folder.rows()] == [4, 8]
    record = folder.read()
    assert (record.run, record.seed, record.config.train.epochs) == ("normal_dls_dg", 0, 2)
    assert record.recorded["changes"] == ["after epoch 1: train.epochs: 1, now 2"]
    assert command(*resume)[1] == "complete: 2 of 2 epochs\n"
    assert [path.name for path in (tmp_path / "anywhere").iterdir()] == ["mine"]


def test_resume_takes_all_but_set_from_the_folder(config_file, command, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.write_config(resolve_run(load(config_file()), "normal_dls_d"), "normal_dls_d", 3, "cpu")
    before = read_files(folder.path)
    resume = ("train", "--resume", folder.path)
    for arguments, message in (
        (
            (config_file(), "--run", "normal_dls_d", "--seed", 3, "--out", tmp_path, "--fresh"),
            f"--resume takes config, run and seed from {folder.path}, and goes on there; leave out "
            "CONFIG, --run, --seed, --out, --fresh",
        ),
        (
            ("--set", "latent.dim=7"),
            f"{folder.path} holds a run with other settings (latent.dim: 6, now 7); choose another "
            "--out or experiment.name, or move it away",
        ),
        (
            ("--set", "latent.prior=uniform"),
            "--set latent.prior: normal_dls_d sets this key itself",
        ),
    ):
        assert command(*resume, *arguments) == (2, "", f"error: {message}\n")
    message = f"error: {tmp_path}: no run here (there is no config.yaml)\n"
    assert command("train", "--resume", tmp_path) == (2, "", message)
    message = "error: train takes CONFIG and --run NAME, or --resume RUN_DIR\n"
    for arguments in ((), (config_file(),), ("--run", "normal_dls_d")):
        assert command("train", *arguments) == (2, "", message)
    assert read_files(folder.path) == before


def test_evaluate_measures_what_was_recorded(config_file, command, tmp_path):
    layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    keras.Sequential(layers).save(tmp_path / "own.keras")
    features = f"model:{tmp_path / 'own.keras'}"
    path = config_file(**{"evaluate.features": features, "train.epochs": 1})
    assert command("train", path, "--run", "uniform_dls_dg", "--out", tmp_path)[0] == 0
    folder = tmp_path / "tiny" / "uniform_dls_dg" / "seed_0"
    code, output, _ = command("evaluate", folder)
    assert code == 0
    assert "epoch 1: as recorded" in output
    row = RunFolder(folder).rows()[0]
    (folder / "metrics.jsonl").write_text(json.dumps(row | {"fid": row["fid"] + 1.0}) + "\n")
    assert "epoch 1: differ from the record: fid" in command("evaluate", folder)[1]
    (folder / "metrics.jsonl").unlink()
    code, _, errors = command("evaluate", folder)
    assert_user_error(code, errors, "no checkpoint of an epoch with metrics")
    code, _, errors = command("evaluate", tmp_path)
    assert_user_error(code, errors, "no run here")


def test_a_finished_experiment_with_other_settings_is_refused(config_file, command, tmp_path):
    RunFolder(tmp_path / "tiny" / "normal_dls_dg" / "seed_0").create()
    folder = RunFolder(tmp_path / "tiny" / "normal_dls_dg" / "seed_0")
    config = resolve_run(load(config_file()), "normal_dls_dg")
    folder.write_config(config, "normal_dls_dg", 0, "cpu")
    arguments = ("reproduce", config_file(), "--out", tmp_path, "--set", "latent.dim=7")
    code, _, errors = command(*arguments)
    assert_user_error(code, errors, "holds a run with other settings (latent.dim: 6, now 7)")


def test_one_failing_run_does_not_stop_the_others(config_file, command, tmp_path, monkeypatch):
    """An error that comes after the preparations: the settings in its folder change."""
    path = config_file(**{"train.epochs": 1})
    broken = tmp_path / "tiny" / "normal_dls_dg" / "seed_0" / "config.yaml"
    arguments = ("reproduce", path, "--out", tmp_path, "--jobs", "2")

    def prepare_then_break(*arguments):
        prepared = prepare(*arguments)
        changed = load(path, ["latent.dim=9"]).model_dump()
        changed["recorded"] = {"run": "normal_dls_dg", "seed": 0}
        broken.write_text(yaml.safe_dump(changed))
        return prepared

    monkeypatch.setattr(all_jobs, "prepare_apart", prepare_then_break)
    monkeypatch.setattr(all_jobs, "run_jobs", run_jobs)
    code, output, errors = command(*arguments)
    assert_user_error(code, errors, "normal_dls_dg seed 0: ")
    assert "latent.dim: 9, now 6" in errors
    assert "uniform_mse_d done" in output
    assert (tmp_path / "tiny" / "figures" / "figure_04.png").exists()


def test_a_preparation_that_is_killed_is_reported(make_config, tmp_path, monkeypatch):
    original = processes.start

    def start_and_kill(*arguments):
        process = original(*arguments)
        process.kill()
        return process

    monkeypatch.setattr(processes, "start", start_and_kill)
    jobs = [make_job(make_config(), tmp_path)]
    with pytest.raises(FaultError, match=r"the preparation was killed \(exit code -9\)"):
        prepare_apart(jobs, ALONE, Measuring(tmp_path))


def test_a_job_whose_end_nobody_saw_is_a_fault(make_config, tmp_path, monkeypatch):
    """The exit code is 255 if the fork server was killed, which is no signal's."""
    original = processes.start
    monkeypatch.setattr(processes, "start", lambda *_: original(os._exit, 255))
    jobs = [make_job(make_config(), tmp_path)]
    with pytest.raises(FaultError, match=r"^normal_dls_dg seed 0 was killed \(exit code 255\)$"):
        run_jobs(jobs, ALONE, Measuring(tmp_path), print, 1)


def test_ctrl_c_says_how_to_go_on(config_file, command, monkeypatch):
    def interrupt(*_):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(main, "load", interrupt)
    code, _, errors = command("reproduce", config_file(), "--fresh")
    assert code == 130
    assert errors == f"stopped (SIGINT); to go on: python main.py reproduce {config_file()}\n"


def test_epochs_between_evaluations_have_rows_without_metrics(config_file, command, tmp_path):
    path = config_file(**{"evaluate.every": 2, "train.epochs": 3})
    assert command("train", path, "--run", "normal_mse_d", "--out", tmp_path)[0] == 0
    folder = tmp_path / "tiny" / "normal_mse_d" / "seed_0"
    assert ["fake_psnr" in row for row in RunFolder(folder).rows()] == [False, True, True]
    assert {file.name for file in (folder / "images").iterdir()} == {"epoch_0002", "epoch_0003"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.learning_rte=1"], "error: --set: train.learning_rte: unknown key; did you mean"),
        (["train.batch_size=x"], "train.batch_size: should be a valid integer"),
        (["train.learning_rate=-1"], "train.learning_rate: should be greater than 0"),
        (["train.batch_size=0"], "train.batch_size: should be greater than or equal to 1"),
        (["data.resolution=100"], "data.resolution: use a power of two"),
        (["experiment.runs=[nonsense]"], "experiment.runs: a list takes normal_dls_dg"),
        (["experiment.runs={a: {set: {latent.dmi: 3}}}"], "experiment.runs.a.set: latent.dmi: unk"),
    ],
)
@pytest.mark.parametrize("name", ["reproduce", "train"])
def test_a_wrong_config(config_file, command, tmp_path, name, overrides, message):
    run = ["--run", "normal_dls_d"] if name == "train" else []
    sets = [part for override in overrides for part in ("--set", override)]
    code, _, errors = command(name, config_file(), *run, *sets, "--out", tmp_path)
    assert_user_error(code, errors, message)


def test_an_unknown_run_and_a_missing_config(config_file, command, tmp_path):
    code, _, errors = command("train", config_file(), "--run", "dls", "--out", tmp_path)
    assert_user_error(code, errors, "unknown run: use one of normal_dls_dg")
    code, _, errors = command("reproduce", tmp_path / "nowhere.yaml")
    assert_user_error(code, errors, "nowhere.yaml: cannot read the config file: no such file")


def broken_data(tmp_path, photos):
    """Data sources with one fault each: {source: what the error says}."""
    empty, textual, mixed, few = (tmp_path / name for name in ("empty", "text", "mixed", "few"))
    for folder in (empty, textual, mixed, few):
        folder.mkdir()
    (textual / "readme.txt").write_text("hello")
    for name, content in photos(30).items():
        (mixed / name).write_bytes(content)
    (mixed / "photo_001.jpg").write_text("no image")
    for name, content in photos(3).items():
        (few / name).write_bytes(content)
    (tmp_path / "fake.zip").write_text("no zip")
    return {
        f"folder:{tmp_path}/nowhere": "no such folder",
        f"folder:{empty}": "no image here",
        f"folder:{textual}": "no image here",
        f"folder:{mixed}": "mixed/photo_001.jpg: not a JPEG, PNG, WebP or BMP image",
        f"folder:{few}": "2 images to train, fewer than one batch of 4",
        f"zip:{tmp_path}/fake.zip": "not a zip file",
    }


def test_broken_data(config_file, command, tmp_path, photos):
    sizes = ("--set", "data.train_size=null", "--set", "data.test_size=null")
    train = ("train", config_file(), "--run", "normal_dls_d", "--out", tmp_path / "out", *sizes)
    for source, message in broken_data(tmp_path, photos).items():
        code, _, errors = command(*train, "--set", f"data.source={source}")
        assert_user_error(code, errors, message)


def test_a_feature_network_that_is_not_there_is_reported_before_training(
    config_file, command, tmp_path
):
    path = config_file(**{"evaluate.features": f"inception_v3:{tmp_path}/nowhere.h5"})
    code, _, errors = command("train", path, "--run", "normal_dls_d", "--out", tmp_path)
    assert_user_error(code, errors, f"evaluate.features: no such file: {tmp_path}/nowhere.h5")
    assert not (tmp_path / "tiny" / "normal_dls_d" / "seed_0" / "metrics.jsonl").exists()


def test_broken_data_found_in_another_process(config_file, command, tmp_path, monkeypatch):
    """Preparations are made in a process of their own; the error is one line all the same."""
    monkeypatch.setattr(all_jobs, "prepare_apart", prepare_apart)
    source = f"data.source=folder:{tmp_path}/nowhere"
    code, _, errors = command("reproduce", config_file(), "--out", tmp_path, "--set", source)
    assert_user_error(code, errors, "no such folder")


def test_an_output_folder_that_cannot_be_written(config_file, command, tmp_path):
    (tmp_path / "file").write_text("in the way")
    out = ("--out", tmp_path / "file")
    for name in (("train", config_file(), "--run", "normal_dls_d"), ("reproduce", config_file())):
        code, _, errors = command(*name, *out)
        assert_user_error(code, errors, "cannot write here: not a directory")


def test_training_that_diverges(config_file, command, tmp_path):
    train = ("train", config_file(), "--run", "normal_dls_dg", "--out", tmp_path)
    with eagerly():
        code, _, errors = command(*train, "--set", "train.encoder_weight=1e38")
    assert_user_error(code, errors, "training diverged: discriminator_loss is inf at step 1")


def test_help_is_quick_and_needs_no_tensorflow():
    code = "import sys, main; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
    result = subprocess.run(
        [sys.executable, "main.py", "--help"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in ("reproduce", "train", "figures"):
        assert name in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plan",), "missing argument 'CONFIG' (python main.py plan --help)"),
        (("compare", "a"), "missing option '--out' (python main.py compare --help)"),
        (("train", "x.yaml"), "train takes CONFIG and --run NAME, or --resume RUN_DIR"),
        (("trian",), "no such command 'trian'. Did you mean 'train'? (python main.py --help)"),
        (("reproduce", "--jbos", "2"), "no such option: --jbos (Possible options: --jobs) (python"),
        (("reproduce", "--jobs", "0"), "invalid value for '--jobs': should be greater than or eq"),
        (
            ("figures", "a", "b"),
            "got unexpected extra argument(s) (b) (python main.py figures --help)",
        ),
        (("train", "x.yaml", "--run", "a", "--out", ""), "--out is empty; give it a value or lea"),
        (("train", "x.yaml", "--run", "a", "--out="), "--out is empty; give it a value or leave"),
        (("evaluate", ""), "an argument is empty; give it a value or leave it out"),
        (("sample", "no\nrun"), r"no\nrun: no such folder"),
        (("sample", "\x1b[31mred"), r"\x1b[31mred: no such folder"),
        (("sample", "\udcff"), r"\udcff: no such folder"),
        (("tra\nin",), r"no such command 'tra\nin'. Did you mean 'train'? (python main.py --help)"),
        (("\x1b[31m",), r"no such command '\x1b[31m'"),
        (
            ("sample", "run", "--checkpoint", "last\n"),
            r"--checkpoint takes last, best or a step. Rece",
        ),
        (
            ("reconstruct", "run", "a.png", "--refine", "1000001"),
            "invalid value for '--refine': should be less than or equal to 1000000 (python main.py",
        ),
    ],
)
def test_usage_errors_are_one_line(command, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, output, errors = command(*arguments)
    assert_user_error(code, errors, f"error: {message}")
    assert output == ""
    assert list(tmp_path.iterdir()) == []


def test_wrong_paths_are_told_without_tensorflow(tmp_path):
    run = tmp_path / "tiny" / "normal_dls_dg" / "seed_0"
    write_measured_run(tmp_path / "tiny", "normal_dls_dg")
    image, nowhere = tmp_path / "image.png", tmp_path / "nowhere"
    image.touch()
    (run / "images").mkdir()
    no_run = f"{tmp_path}/tiny: no run here (there is no config.yaml); did you mean {run}?"
    cases = [
        *(
            [name, nowhere, f"{nowhere}: no such folder"]
            for name in ("sample", "evaluate", "export")
        ),
        *([name, run.parents[1], no_run] for name in ("sample", "interpolate", "explore")),
        ["reconstruct", run / "images", image, f"; did you mean {run}?"],
        ["reconstruct", run, nowhere, f"no such file or folder: {nowhere}"],
        ["edit", run, nowhere, "--rank", "1=2", f"no such file or folder: {nowhere}"],
        ["edit", run, image, "--with", nowhere, "--without", tmp_path, f"folder: {nowhere}"],
        ["interpolate", run, "--between", image, nowhere, f"no such file or folder: {nowhere}"],
        ["sample", run, "--out", tmp_path, f"{tmp_path} is there already"],
        ["sample", image, f"{image}: not a folder"],
        ["figures", nowhere, f"{nowhere}: no such folder"],
        ["figures", run, f"(looked for */seed_*/); did you mean {run.parents[1]}?"],
        ["compare", nowhere, run, "--out", tmp_path / "both", f"{nowhere}: no such folder"],
        ["import-reference", *[nowhere] * 4, "--out", run, f"no such file: {nowhere}"],
    ]
    code = (
        "import json, sys, main\n"
        "sys.modules['tensorflow'] = None  # importing it fails\n"
        "for *sys.argv, _ in json.loads(sys.argv[1]):\n"
        "    try:\n"
        "        main.main()\n"
        "    except SystemExit as ended:\n"
        "        assert ended.code == 2\n"
    )
    listed = json.dumps([["main.py", *map(str, case)] for case in cases])
    result = subprocess.run(
        [sys.executable, "-c", code, listed], cwd=ROOT, check=True, capture_output=True, text=True
    )
    lines = result.stderr.splitlines()
    for line, case in zip(lines, cases, strict=True):
        assert line.startswith("error: ")
        assert line.endswith(case[-1]) or case[-1] + ";" in line


def test_a_job_array_shares_the_runs(command, config_file, tmp_path, monkeypatch):
    trained = []

    def note_jobs(jobs, *_):
        trained.append([job.run for job in jobs])
        return []

    monkeypatch.setattr(all_jobs, "run_jobs", note_jobs)
    array = ["reproduce", config_file(), "--out", tmp_path, "--run-count", 2, "--run-index"]
    for index in (0, 1):
        code, output, _ = command(*array, index)
        assert code == 0
        assert f"when all runs are done: python main.py figures {tmp_path}/tiny\n" in output
    assert trained == [["normal_dls_dg"], ["uniform_mse_d"]]
    assert_user_error(*command(*array, 2)[::2], "--run-index: use 0 to 1 for --run-count 2")
    assert_user_error(*command(*array[:-1])[::2], "--run-index I and --run-count N belong together")


@pytest.mark.parametrize(
    ("text", "seeds"), [("100-102", [100, 101, 102]), ("7,3-4", [7, 3, 4]), ("0", [0])]
)
def test_seeds_of_an_experiment_as_a_list(config_file, command, tmp_path, monkeypatch, text, seeds):
    trained = []

    def train_jobs(jobs, *_):
        trained.extend((job.run, job.seed, job.config.experiment.seeds) for job in jobs)
        return []

    monkeypatch.setattr(main, "train_jobs", train_jobs)
    path = config_file(**{"experiment.seeds": [5, 6]})
    share = ("--out", tmp_path, "--run-index", 0, "--run-count", 1)
    code, output, errors = command("reproduce", path, "--seeds", text, *share)
    assert (code, errors) == (0, "")
    runs = ("normal_dls_dg", "uniform_mse_d")
    assert trained == [(run, seed, seeds) for seed in seeds for run in runs]
    assert f"tiny: {len(trained)} of {len(trained)} runs to train\n" in output


@pytest.mark.parametrize("name", ["reproduce", "plan"])
def test_bad_lists_of_seeds(config_file, command, tmp_path, name):
    set_too = ["--set", "experiment.seeds=[1]"]
    for arguments, message in (
        (["3-"], "seeds are given as 3, 1-8 or 1,5,7. Received: 3-"),
        (["8-3"], "a range goes upwards. Received: 8-3"),
        (["1,1"], "seed 1 is given twice. Received: 1,1"),
        (["2147483648"], "there is no seed 2147483648: use 0 to 2147483647"),
        (["0-2147483647"], "--seeds takes 1000 seeds or fewer. Received: 0-2147483647"),
        (["1", *set_too],
         "--seeds is short for --set experiment.seeds=[...]: leave out one of them"),
    ):  # fmt: skip
        result = command(name, config_file(), "--out", tmp_path / "out", "--seeds", *arguments)
        assert result == (2, "", f"error: {message}\n")
    assert not (tmp_path / "out").exists()


def test_runs_of_ones_own_are_trained_resumed_and_drawn(
    config_file, command, tmp_path, empty_curves
):
    """A run's own data, epochs and settings count: for its steps, its folder and its figures."""
    runs = {
        "short": {"label": "one epoch", "set": {"train.epochs": 1, "data.train_size": 12}},
        "flat": {"label": "no scale", "set": {"latent.dynamic_scale": False, "latent.dim": 5}},
    }
    path = config_file(**{"experiment.runs": runs})
    arguments = ("reproduce", path, "--out", tmp_path, "--jobs", "1")
    code, output, errors = command(*arguments)
    assert (code, errors) == (0, "")
    assert "short done" in output
    assert "flat done" in output
    experiment = tmp_path / "tiny"
    short, flat = (RunFolder(experiment / name / "seed_0") for name in runs)
    assert [row["step"] for row in short.rows()] == [3]
    assert [row["step"] for row in flat.rows()] == [4, 8]
    assert (short.read().config.train.epochs, short.read().label) == (1, "one epoch")
    assert (flat.read().config.latent.dim, flat.read().config.train.epochs) == (5, 2)
    assert np.load(flat.images(2) / "scale.npy").tolist() == [1.0] * 5
    assert (experiment / "figures" / "encoder_loss.svg").exists()
    assert (experiment / "figures" / "flat_interpolation.png").exists()
    assert "no scale" in (experiment / "figures" / "results.md").read_text()
    assert "0 of 2 runs to train" in command(*arguments)[1]
    code, output, _ = command(*arguments, "--run-index", 1, "--run-count", 2)
    assert (code, "0 of 1 runs to train" in output) == (0, True)
    longer = {"short": runs["short"] | {"set": runs["short"]["set"] | {"train.epochs": 2}}}
    path = config_file(**{"experiment.runs": longer})
    code, output, _ = command("train", path, "--run", "short", "--out", tmp_path)
    assert (code, [row["step"] for row in short.rows()]) == (0, [3, 6])


def test_checks_name_the_run_that_needs_other_data(config_file, command, tmp_path):
    runs = {"fits": {"set": {"latent.dim": 5}}, "large": {"set": {"data.train_size": 99999}}}
    path = config_file(**{"experiment.runs": runs})
    code, output, _ = command("check-data", path, "--out", tmp_path)
    assert code == 1
    assert output.index("runs fits:") < output.index("runs large:")
    assert output.count("training can begin") == output.count("training would fail") == 1
    written = json.loads((tmp_path / "tiny" / "check_data.json").read_text())
    assert [bool(found["failures"]) for found in written.values()] == [False, True]
    code, _, errors = command("reproduce", path, "--out", tmp_path)
    assert_user_error(code, errors, "error: large: data.source: digits has")


def test_jobs_at_once(config_file, tmp_path):
    runs = {
        "mirrored": {"set": {"train.distribution": "mirrored"}},
        "alone": {"set": {"train.distribution": "none"}},
        "auto": {"set": {"latent.dim": 5}},
    }
    jobs = list_jobs(load(config_file(**{"experiment.runs": runs})), tmp_path)
    assert default_jobs_at_once(jobs, gpus=4) == 1
    others = [job for job in jobs if job.run != "mirrored"]
    assert default_jobs_at_once(others, gpus=4) == 2
