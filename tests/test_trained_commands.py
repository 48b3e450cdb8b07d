"""The commands for trained runs, on networks with random weights."""

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from matplotlib import rc_context
from PIL import Image

from config import Config, UserError
from data.images import to_uint8
from data.loading import open_images
from data.user_images import read_images
from evaluate.evaluator import Evaluator
from evaluate.exchange.model_card import model_card
from evaluate.inversion.editing import find_direction
from evaluate.sheets import GAP, enlargement, label_rows, tile
from evaluate.trained_run import TrainedRun
from models.latent import sample_prior
from tests.conftest import (
    PROTOCOL,
    SMALLEST,
    TINY,
    assert_user_error,
    full_disk,
    lock,
    merge,
    write_folder,
    write_run,
)
from tests.test_images import corrupt_jpeg
from train.runs.checkpoints import Checkpoints
from train.runs.folder import RunFolder
from train.runtime.distribution import Processes

ROOT = Path(__file__).parent.parent
TEST_SIZE = 64
BY_IMPORTANCE = [4, 5, 1, 0, 3, 2]
ROW = {"encoder_loss": 0.5, "fake_psnr": 20.0, "protocol": PROTOCOL}
OPENS_RUNS = ["sample", "interpolate", "edit", "reconstruct", "export", "elements", "evaluate"]
OPENS_RUNS += ["explore", "export-reference"]


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    """The trainer of the run that all tests here use; the attribute `path` is its folder."""
    config = Config.model_validate(merge(TINY, SMALLEST | {"data.test_size": TEST_SIZE}))
    path = tmp_path_factory.mktemp("experiment") / "run"
    trainer = write_run(config, path, imported={"mapper": "mapper.h5, SHA-256 0123"})
    trainer.path = path
    return trainer


@pytest.fixture(scope="module")
def trained(trainer):
    return TrainedRun(trainer.path)


@pytest.fixture
def photo_folder(tmp_path, photos):
    """Twelve images of different sizes and modes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, content in photos(12).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def to_folder(command, trainer, tmp_path):
    """A function: run a command on the run; returns the folder with what it made."""

    def run(name, *arguments):
        out = tmp_path / "out" / name
        code, output, errors = command(name, trainer.path, *arguments, "--out", out)
        assert (code, errors) == (0, "")
        assert f"all of it is in {out}" in output
        return out

    return run


def pixels(path):
    return np.asarray(Image.open(path))


def small(sheet, row, column, size=8):
    """A tile of a sheet without groups, in its size before it was enlarged."""
    factor = enlargement(size)
    top, left = (index * (size * factor + GAP) for index in (row, column))
    return sheet[top : top + size * factor : factor, left : left + size * factor : factor]


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


def test_samples_are_those_of_the_seed(to_folder, trained):
    folder = to_folder("sample", "--count", 10, "--seed", 3)
    latents = sample_prior((10, 6), "normal", seed=3).numpy()
    stored = np.load(folder / "latents.npz")
    np.testing.assert_array_equal(stored["latents"], latents)
    np.testing.assert_allclose(stored["scaled_latents"], latents * trained.scale)
    images = trained.generate(latents)
    np.testing.assert_array_equal(pixels(folder / "sheet.png"), tile(images))


def test_samples_as_single_files(to_folder, trained):
    folder = to_folder("sample", "--count", 11, "--files")
    images = to_uint8(trained.generate(np.load(folder / "latents.npz")["latents"]))
    files = sorted((folder / "images").iterdir())
    assert [file.name for file in files[:2]] == ["01.png", "02.png"]
    np.testing.assert_array_equal([pixels(file) for file in files], images)


def test_one_sample_of_each_seed(to_folder, trained):
    folder = to_folder("sample", "--seeds", "7,2-3", "--files")
    latents = [sample_prior((1, 6), "normal", seed=seed).numpy()[0] for seed in (7, 2, 3)]
    names = ["seed_0007", "seed_0002", "seed_0003"]
    stored = np.load(folder / "latents.npz")
    np.testing.assert_array_equal(stored["latents"], latents)
    assert stored["names"].tolist() == names
    images = to_uint8(trained.generate(stored["latents"]))
    files = [folder / "images" / f"{name}.png" for name in names]
    np.testing.assert_array_equal([pixels(file) for file in files], images)


def test_one_sample_of_each_seed_in_a_sheet(to_folder, trained):
    folder = to_folder("sample", "--seeds", "0-8")
    images = trained.generate(np.load(folder / "latents.npz")["latents"])
    np.testing.assert_array_equal(pixels(folder / "sheet.png"), tile(images))


def test_reconstructions_and_their_metrics(to_folder, trained, photo_folder):
    folder = to_folder("reconstruct", photo_folder)
    names = sorted(path.name for path in photo_folder.iterdir())
    stored = np.load(folder / "latents.npz")
    assert stored["names"].tolist() == [f"{photo_folder}/{name}" for name in names]
    images = to_uint8(trained.generate(stored["latents"]))
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    sheet = pixels(folder / "sheet.png")
    left = small(sheet, 0, 0)
    for name, image, row in zip(names, images, rows, strict=True):
        np.testing.assert_array_equal(
            pixels(folder / "images" / f"{name.split('.')[0]}.png"), image
        )
        assert row["image"] == f"{photo_folder}/{name}"
    np.testing.assert_array_equal(small(sheet, 0, 1), images[0])
    error = np.mean((left.astype(float) - images[0]) ** 2)  # both are rounded to 8 bits
    assert float(rows[0]["psnr"]) == pytest.approx(10 * np.log10(255**2 / error), abs=0.05)


@pytest.mark.parametrize(("weight", "least_gain"), [(0.1, 0.0), (0.0, 0.1)])
def test_refining_never_loses(to_folder, photo_folder, monkeypatch, weight, least_gain):
    """With the regulariser it need not gain: this encoder is not trained."""
    monkeypatch.setattr("evaluate.inversion.refine.ENCODER_WEIGHT", weight)
    folder = to_folder("reconstruct", photo_folder, "--refine", 15)
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    gains = [float(row["refined_psnr"]) - float(row["psnr"]) for row in rows]
    assert min(gains) >= 0
    assert np.median(gains) >= least_gain


def test_what_is_no_image_is_named_and_the_rest_goes_on(command, trainer, photo_folder, tmp_path):
    (photo_folder / "photo_001.png").write_text("no image")
    out, one = tmp_path / "out", photo_folder / "photo_000.jpg"
    given = (photo_folder, tmp_path / "nowhere.jpg", one)
    code, _, errors = command("reconstruct", trainer.path, *given, "--out", out)
    assert_user_error(code, errors, "photos/photo_001.png: not a JPEG, PNG, WebP or BMP image; ")
    assert "nowhere.jpg: cannot be read: no such file" in errors
    assert len(np.load(out / "latents.npz")["names"]) == 13
    assert (out / "images" / "photo_000_2.png").exists()  # given twice
    code, _, errors = command("reconstruct", trainer.path, photo_folder / "photo_001.png")
    assert_user_error(code, errors, "left out: ")
    assert not (trainer.path / "reconstruct").exists()


@pytest.mark.parametrize("arguments", [("reconstruct",), ("edit", "--element", "0=1")])
def test_every_image_that_is_left_out_is_named(
    command, trainer, photo_folder, tmp_path, monkeypatch, arguments
):
    bad = {f"bad_{number}.jpg": b"" for number in range(5)} | {"locked/a.jpg": b""}
    write_folder(photo_folder, bad | {"odd.jpg": corrupt_jpeg()})
    lock(monkeypatch, "locked")
    name, *options = arguments
    out = tmp_path / "out"
    remark = f"^{photo_folder}/odd.jpg: Corrupt JPEG data: 11 extraneous bytes before marker 0xd9$"
    with pytest.warns(UserWarning, match=remark):
        code, _, errors = command(name, trainer.path, photo_folder, *options, "--out", out)
    problems = [f"{photo_folder}/locked: cannot be read: permission denied"]
    problems += [f"{photo_folder}/bad_{number}.jpg: empty file" for number in range(5)]
    assert code == 2
    assert errors == f"error: left out: {'; '.join(problems)}\n"
    assert len(np.load(out / "latents.npz")["names"]) == 13


def test_nothing_is_written_over(command, trainer, tmp_path):
    for name in ("sample", "sample_2", "sample_3"):
        assert command("sample", trainer.path, "--count", 1)[0] == 0
        assert (trainer.path / name / "sheet.png").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sheet.png").write_text("mine")
    code, _, errors = command("sample", trainer.path, "--out", tmp_path / "mine")
    assert_user_error(code, errors, "mine is there already; choose another --out")
    assert (tmp_path / "mine" / "sheet.png").read_text() == "mine"


def test_samples_reconstruct_as_the_run_measures_it(to_folder, trainer):
    """The mean PSNRs of these samples and of the evaluator's differ by chance only."""
    files = to_folder("sample", "--count", TEST_SIZE, "--files") / "images"
    rows = list(csv.DictReader((to_folder("reconstruct", files) / "metrics.csv").open()))
    of_command = [float(row["psnr"]) for row in rows]
    config = TrainedRun(trainer.path).config
    test_images = open_images(config.data, "test")
    evaluator = Evaluator(config, trainer, Processes(), test_images)
    of_run = evaluator.measure(1)[1]["fake_psnr"]
    error = np.sqrt((np.var(of_command) + np.var(of_run)) / TEST_SIZE)
    assert abs(np.mean(of_command) - np.mean(of_run)) < 3 * error
    assert error < 0.4


def test_interpolating_elements(to_folder, trained):
    folder = to_folder("interpolate", "--element", 4, "--count", 3, "--seed", 2)
    latents = np.repeat(sample_prior((3, 6), "normal", seed=2), 8, axis=0)
    latents[:, 4] = np.tile(np.linspace(-2, 2, 8), 3)
    labels = [f"rank 1\nelement 4\ns = {trained.scale[4]:.3g}"] * 3
    expected = label_rows(tile(trained.generate(latents)), labels)
    np.testing.assert_allclose(pixels(folder / "sheet.png"), expected, atol=1)
    for ending in ("webp", "gif"):
        with Image.open(folder / f"animation.{ending}") as animation:
            assert (animation.n_frames, animation.size) == (56, (3 * 50 - 2, 48))
            animation.seek(28)  # the last before it goes back
            ends = tile(trained.generate(latents[7::8]), columns=3)
            error = np.asarray(animation.convert("RGB"), float) - ends
            assert np.abs(error).mean() < 8, ending  # palette, and lossy


def test_rows_of_a_sheet_name_their_elements(to_folder, trained, monkeypatch):
    drawn = []

    def label(sheet, labels):
        drawn.append(labels)
        return label_rows(sheet, labels)

    monkeypatch.setattr("evaluate.inversion.commands.label_rows", label)
    sheet = pixels(to_folder("interpolate", "--rank", "2,1,6") / "sheet.png")
    scales = {element: f"s = {trained.scale[element]:.3g}" for element in BY_IMPORTANCE}
    assert drawn == [
        [
            f"rank 2\nelement 5\n{scales[5]}",
            f"rank 1\nelement 4\n{scales[4]}",
            f"rank 6\nelement 2\n{scales[2]}",
        ]
    ]
    assert sheet.shape[1] > 8 * 48 + 7 * GAP


def test_a_movie_where_there_is_an_encoder(command, trainer, tmp_path, recwarn):
    """The encoder here keeps its arguments and what it reads, or fails."""
    encoder = tmp_path / "ffmpeg"
    encoder.write_text('#!/bin/sh\nfor last; do :; done\necho "$@" > "$last"\ncat >> "$last"\n')
    arguments = ("interpolate", trainer.path, "--count", 2, "--out")
    encoder.chmod(0o700)
    with rc_context({"animation.ffmpeg_path": str(encoder)}):
        assert command(*arguments, tmp_path / "with")[0] == 0
    given, _, frames = (tmp_path / "with" / "animation.mp4").read_bytes().partition(b"\n")
    assert b"-s 98x48 -pix_fmt rgba" in given
    assert b"h264" in given
    frames = np.frombuffer(frames, np.uint8).reshape(56, 48, 98, 4)
    with Image.open(tmp_path / "with" / "animation.webp") as animation:
        animation.seek(28)
        error = np.asarray(animation.convert("RGB"), float) - frames[28, :, :, :3]
    assert np.abs(error).mean() < 8  # WebP is lossy
    with rc_context({"animation.ffmpeg_path": str(tmp_path / "nothing")}):
        assert command(*arguments, tmp_path / "without")[0] == 0
    assert len(recwarn) == 0
    encoder.write_text("#!/bin/sh\nexit 1\n")
    with rc_context({"animation.ffmpeg_path": str(encoder)}):
        assert command(*arguments, tmp_path / "failed")[0] == 0
    assert str(recwarn.pop().message) == (
        "animation.mp4 is left out: ffmpeg cannot write H.264 here"
    )
    for folder in ("without", "failed"):
        names = sorted(path.name for path in (tmp_path / folder).iterdir())
        assert names == ["animation.gif", "animation.webp", "sheet.png"]


def test_elements_by_importance(command, trained):
    code, output, _ = command("elements", trained.folder.path)
    assert code == 0
    rows = [line.split() for line in output.splitlines()]
    assert rows[2] == ["rank", "element", "s", "v"]
    assert rows[4:10] == [
        [str(rank), str(e), f"{trained.scale[e]:.4g}", f"{trained.variance[e]:.4g}"]
        for rank, e in enumerate(BY_IMPORTANCE, start=1)
    ]
    assert [float(row[3]) for row in rows[4:10]] == [1.0, 0.82, 0.64, 0.46, 0.28, 0.1]


def test_interpolating_between_two_images(to_folder, trained, photo_folder):
    pair = (photo_folder / "photo_000.jpg", photo_folder / "photo_001.JPEG")
    sheet = pixels(to_folder("interpolate", "--between", *pair) / "sheet.png")
    latents = np.load(to_folder("reconstruct", *pair) / "latents.npz")["latents"]
    ends = to_uint8(trained.generate(latents))
    np.testing.assert_allclose(small(sheet, 0, 0), ends[0], atol=1)
    np.testing.assert_allclose(small(sheet, 0, 7), ends[1], atol=1)


def test_setting_elements_of_an_image(to_folder, trained, photo_folder):
    photo = photo_folder / "photo_003.jpg"
    before = np.load(to_folder("reconstruct", photo) / "latents.npz")["latents"]
    folder = to_folder("edit", photo, "--element", "1=1.5", "--rank", "2=-0.5")
    after = np.load(folder / "latents.npz")["latents"]
    before[0, 1], before[0, BY_IMPORTANCE[1]] = 1.5, -0.5
    np.testing.assert_allclose(after, before, rtol=1e-6)
    image = to_uint8(trained.generate(after))[0]
    np.testing.assert_array_equal(pixels(folder / "images" / "photo_003.png"), image)
    np.testing.assert_array_equal(small(pixels(folder / "sheet.png"), 0, 5), image)


def test_giving_an_image_what_examples_have(command, trained, photo_folder, tmp_path):
    bright = tmp_path / "bright"
    bright.mkdir()
    for path in photo_folder.iterdir():
        Image.open(path).convert("L").point(lambda value: 128 + value // 2).save(bright / path.name)
    photo = photo_folder / "photo_000.jpg"
    examples = ("--with", bright, "--without", photo_folder)
    out = ("--amount", 0.5, "--out", tmp_path / "out")
    code, output, _ = command("edit", trained.folder.path, photo, *examples, *out)
    assert code == 0
    latents = [trained.encode(read_images([p], trained.config.data)[1]) for p in examples[1::2]]
    direction = find_direction(*latents, trained.scale)
    assert f"12 and 12 examples; it tells {direction.accuracy:.0%} of held-out ones ap" in output
    np.testing.assert_allclose(
        np.load(tmp_path / "out" / "latents.npz")["scaled_latents"][0],
        latents[1][0] * trained.scale + 0.5 * direction.gap * direction.unit,
        rtol=1e-4,
        atol=1e-4,
    )
    (tmp_path / "few").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "few" / "one.png")
    code, _, errors = command("edit", trained.folder.path, photo, *examples[:3], tmp_path / "few")
    assert_user_error(
        code, errors, "--without: a direction takes 10 or more example images of a kind. Rec"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["interpolate", "--element", "6"], "there is no element 6: use 0 to 5"),
        (["interpolate", "--rank", "0-2"], "there is no rank 0: use 1 to 6"),
        (["interpolate", "--rank", "first"], "ranks are given as 3, 1-8 or 1,5,7. Received: fi"),
        (["interpolate", "--rank", ""], "error: --rank is empty; give it a value or leave it out"),
        (["interpolate", "--element", ""], "error: --element is empty; give it a value or leave"),
        (["interpolate", "--element", "1,0-2"], "element 1 is given twice. Received: 1,0-2"),
        (["interpolate", "--rank", "1", "--element", "1"], "use one of --rank, --element and"),
        (["interpolate", "--rank", "1", "--rank", "2"], "--between, once; a list is 1-3 or 1,5,7"),
        (["edit", "{photo}", "--rank", "1"], "a change is given as RANK=VALUE, such as 3=1.5"),
        (
            ["edit", "{photo}", "--element", "3=1", "--element", "3=2"],
            "element 3 is set twice: to 1 and to 2",
        ),
        (
            ["edit", "{photo}", "--rank", "1=1", "--rank", "1=1"],
            "element 4 is set twice: to 1 and to 1",
        ),
        (
            ["edit", "{photo}", "--rank", "1=2", "--element", "4=0.5"],
            "element 4 is set twice: to 0.5 and to 2",
        ),
        (["sample", "--seeds", ","], "seeds are given as 3, 1-8 or 1,5,7. Received: ,"),
        (["sample", "--seeds", "2-4,4"], "seed 4 is given twice. Received: 2-4,4"),
        (["sample", "--seeds", "2147483648"], "there is no seed 2147483648: use 0 to 2147483647"),
        (
            ["sample", "--seeds", "0-1024"],
            "a sheet holds 1024 images; --files writes up to 1000000",
        ),
        (["sample", "--seeds", "0-2147483647", "--files"], "--files writes up to 1000000 single"),
        (
            ["sample", "--seeds", "1", "--count", "64"],
            "--seeds says which seeds and how many: leave out --seed and --count",
        ),
        (["sample", "--seeds", "1", "--seed", "0"], "leave out --seed and --count"),
        (["edit", "x.png"], "say what to change: --element, --rank, or --with and --without"),
        (["edit", "x.png", "--with", "here"], "--with and --without go together"),
        (["edit", "{photo}", "--element", "9=1"], "there is no element 9: use 0 to 5"),
        (["edit", "{photo}", "--element", "1"], "a change is given as ELEMENT=VALUE"),
        (
            ["edit", "{photo}", "--element", "1=nan"],
            "value from -1000 to 1000. Received: 1=nan",
        ),
        (
            ["edit", "{photo}", "--rank", "1=-1e39"],
            "value from -1000 to 1000. Received: 1=-1e39",
        ),
        (
            ["edit", "x.png", "--with", "a", "--without", "b", "--amount", "nan"],
            "--amount takes a number up to 1000. Received: nan",
        ),
        (["interpolate", "--rank", "3-1"], "a range goes upwards. Received: 3-1"),
        (["interpolate", "--between", "{folder}", "{photo}"], "--between takes two images. Rece"),
        (["interpolate", "--count", "65"], "a sheet has at most 64 rows. Received: 65"),
        (["sample", "--count", "1025"], "a sheet holds 1024 images; --files writes up to 1000000"),
    ],
)
def test_wrong_arguments(command, trainer, photo_folder, arguments, message):
    before = sorted(trainer.path.iterdir())
    photo = photo_folder / "photo_000.jpg"
    name, *rest = [text.format(photo=photo, folder=photo_folder) for text in arguments]
    code, _, errors = command(name, trainer.path, *rest)
    assert_user_error(code, errors, message)
    assert sorted(trainer.path.iterdir()) == before


def test_a_run_without_dynamic_scale(command, tmp_path):
    config = Config.model_validate(merge(TINY, SMALLEST))
    write_run(config, tmp_path / "run", "uniform_mse_d")
    trained = TrainedRun(tmp_path / "run")
    assert trained.scale.tolist() == [1.0] * 6
    assert trained.elements_by_importance.tolist() == BY_IMPORTANCE
    arguments = (tmp_path / "run", "--rank", 1, "--count", 2, "--seed", 2)
    assert command("interpolate", *arguments)[0] == 0
    latents = np.repeat(sample_prior((2, 6), "uniform", seed=2), 8, axis=0)
    latents[:, BY_IMPORTANCE[0]] = np.tile(np.linspace(-(3**0.5), 3**0.5, 8), 2)
    sheet = pixels(tmp_path / "run" / "interpolate" / "sheet.png")
    expected = label_rows(tile(trained.generate(latents)), ["rank 1\nelement 4\ns = 1"] * 2)
    np.testing.assert_allclose(sheet, expected, atol=1)


def test_a_run_that_is_training_is_used_as_it_was_saved(command, trainer, tmp_path):
    with RunFolder(trainer.path).locked():
        code, output, _ = command("sample", trainer.path, "--count", 1, "--out", tmp_path / "out")
    assert code == 0
    assert "(epoch 0, step 0)" in output


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A run with checkpoints of steps 0, 4 and, as the best, 2; s tells them apart."""
    config = Config.model_validate(merge(TINY, SMALLEST))
    path = tmp_path_factory.mktemp("experiment") / "run"
    trainer = write_run(config, path)
    folder = RunFolder(path)
    with folder.locked():
        checkpoints = Checkpoints(trainer, folder)
        for step, save in ((2, checkpoints.save_best), (4, checkpoints.save)):
            trainer.variance_window[:, 0].assign(tf.fill([5], float(step)))
            checkpoints.progress.epoch.assign(step // 2)
            save(step)
            folder.append({"epoch": step // 2, "step": step, **ROW, "fid": 10.0 + step})
    return path


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
    (tmp_path / "a.png").touch()
    more = {
        "edit": [tmp_path / "a.png", "--rank", "1=2"],
        "reconstruct": [tmp_path / "a.png"],
    }.get(name, [])
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


def test_the_model_card_is_of_the_chosen_checkpoint(several):
    for choice, epoch, printed in (("best", 1, "step 2, best by FID"), ("last", 2, "step 4")):
        card = model_card(TrainedRun(several, choice))
        assert f"The weights are from epoch {epoch}, {printed}; the metrics" in card
        metadata = yaml.safe_load(card.split("---\n")[1])
        assert metadata == {
            "library_name": "keras",
            "pipeline_tag": "unconditional-image-generation",
            "tags": ["gan", "gan-inversion", "dlsgan"],
            "model-index": [
                {
                    "name": "tiny_normal_dls_dg_0",
                    "results": [
                        {
                            "task": {"type": "unconditional-image-generation"},
                            "dataset": {"type": "digits", "name": "digits", "split": "test"},
                            "metrics": [
                                {
                                    "type": "fid",
                                    "value": 10.0 + 2 * epoch,
                                    "name": "FID (digit-classifier features)",
                                },
                                {"type": "fake_psnr", "value": 20.0, "name": "fake PSNR"},
                            ],
                        }
                    ],
                }
            ],
        }
        row = next(line for line in card.splitlines() if line.startswith("| normal_dls_dg"))
        assert row.split(" | ")[1:6] == [str(epoch), "0.500", "", "", f"{10.0 + 2 * epoch}"]


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


def test_a_full_disk_leaves_nothing_behind(command, trainer, tmp_path):
    with full_disk(4000):
        code, _, errors = command("export", trainer.path, "--out", tmp_path / "out")
    assert_user_error(code, errors, "out: cannot be written: ")
    assert list(tmp_path.iterdir()) == []


def test_large_photos(command, trainer, photo_folder, tmp_path, monkeypatch, recwarn):
    """Up to twice Pillow's limit they are read, without its warning; beyond, refused by name."""
    arguments = ("reconstruct", trainer.path, photo_folder / "photo_000.jpg", "--out")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)  # it has 620
    code, _, errors = command(*arguments, tmp_path / "out")
    assert (code, errors, len(recwarn)) == (0, "", 0)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    code, _, errors = command(*arguments, tmp_path / "no")
    assert_user_error(code, errors, "photos/photo_000.jpg: decompression bomb: ")


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


LOAD = """
import sys
import numpy as np
data = np.load("data.npz")
latents, images = data["latents"], data["images"]
{tensorflow_alone}
assert "models" not in sys.modules
saved = reconstructions
{keras}
assert models.__file__.startswith("{root}")
outputs = {{"saved_reconstructions": saved, "reconstructions": reconstructions}}
outputs["adversarial"] = keras.saving.load_model("discriminator.keras")(images)[0]
for name, generate in (("gradients", generator), ("saved_gradients", model.generate)):
    moved = tf.Variable(latents)
    with tf.GradientTape() as tape:
        outputs[name.replace("gradients", "images")] = generated = generate(moved)
    outputs[name] = tape.gradient(generated, moved)
np.savez("outputs.npz", **outputs)
"""


def test_exports_load_in_a_fresh_process(to_folder, trained):
    """The code that the model card shows, beside a clone of the project."""
    folder = to_folder("export")
    card = (folder / "README.md").read_text()
    for fact in (
        "8x8 images with 6 latent elements",
        "drawn from N(0, 1), with dynamic latent scale",
        "- mapper: mapper.h5, SHA-256 0123",
        "`digits`, resized",
        "The weights are from epoch 0, step 0; ",
        "Nothing was measured.",
        "![Generated images](samples.png)",
    ):
        assert fact in card
    samples = tile(trained.generate(trained.sample_latents(64, seed=0)))
    np.testing.assert_array_equal(pixels(folder / "samples.png"), samples)
    latents = trained.sample_latents(4, seed=5)
    images = trained.networks.generate(latents, trained.scale).numpy()
    np.savez(folder / "data.npz", latents=latents, images=images)
    use = re.search("## Use(.*?)## Data", card, re.DOTALL)[1].split("or, with TensorFlow alone")
    keras, tensorflow_alone = ("\n".join(re.findall("^    (.*)", part, re.M)) for part in use)
    (folder / "DLSGAN").symlink_to(ROOT)
    code = LOAD.format(keras=keras, tensorflow_alone=tensorflow_alone, root=folder / "DLSGAN")
    process = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert "gradient" not in process.stderr
    outputs = np.load(folder / "outputs.npz")
    adversarial, recovered = trained.networks.discriminator(images)
    reconstructions = trained.networks.generate(recovered, trained.scale)
    moved = tf.Variable(latents)
    with tf.GradientTape() as tape:
        generated = trained.networks.generate(moved, trained.scale)
    gradients = tape.gradient(generated, moved)
    for name, expected in {
        "images": images,
        "saved_images": images,
        "reconstructions": reconstructions,
        "saved_reconstructions": reconstructions,
        "adversarial": adversarial,
        "gradients": gradients,
        "saved_gradients": gradients,
    }.items():
        np.testing.assert_allclose(outputs[name], expected, rtol=1e-4, atol=1e-5, err_msg=name)
