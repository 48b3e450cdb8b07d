"""The commands for trained runs, on networks with random weights."""

import csv

import numpy as np
import pytest
from matplotlib import rc_context
from PIL import Image

from config import Config
from data.images import to_uint8
from data.loading import open_images
from data.user_images import read_images
from evaluate.evaluator import Evaluator
from evaluate.inversion.editing import find_direction
from evaluate.sheet_layout import GAP, enlargement
from evaluate.sheets import label_rows, tile
from evaluate.trained_run import TrainedRun
from models.latent import sample_prior
from tests.conftest import (
    SMALLEST,
    TEST_SIZE,
    TINY,
    assert_user_error,
    full_disk,
    lock,
    merge,
    write_folder,
    write_run,
)
from tests.test_images import corrupt_jpeg
from train.runs.folder import RunFolder
from train.runtime.distribution import Processes

BY_IMPORTANCE = [4, 5, 1, 0, 3, 2]


@pytest.fixture
def photo_folder(tmp_path, photos):
    """Twelve images of different sizes and modes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, content in photos(12).items():
        (folder / name).write_bytes(content)
    return folder


def pixels(path):
    return np.asarray(Image.open(path))


def small(sheet, row, column, size=8):
    """A tile of a sheet without groups, in its size before it was enlarged."""
    factor = enlargement(size)
    top, left = (index * (size * factor + GAP) for index in (row, column))
    return sheet[top : top + size * factor : factor, left : left + size * factor : factor]


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
        (
            ["reconstruct", "{photo}", "--space", "w+"],
            "--space w+ takes a backbone with a style for each layer, stylegan, stylegan2, "
            "stylegan3_t or stylegan3_r; z and w take any. Received: dlsgan",
        ),
        (
            ["reconstruct", "{photo}", "--features", "evaluate"],
            "--features evaluate takes a run with evaluate.features. Received: none",
        ),
        (
            ["reconstruct", "{photo}", "--method", "encoder", "--steps", "3"],
            "error: the encoder takes no steps; optimise, hybrid, in_domain do",
        ),
        (
            ["reconstruct", "{photo}", "--refine", "3", "--method", "optimise"],
            "--refine N is short for --method hybrid --steps N: leave out --method and --steps",
        ),
        (["reconstruct", "{photo}", "--method", "project"], "invalid value for '--method': "),
        (["reconstruct", "{photo}", "--space", "w++"], "invalid value for '--space': "),
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


def test_commands_that_encode_refuse_a_run_without_encoder_loss(command, tmp_path, photo_folder):
    config = Config.model_validate(merge(TINY, SMALLEST | {"train.encoder_weight": 0.0}))
    run, out = tmp_path / "run", tmp_path / "out"
    write_run(config, run, "normal_mse_dg")
    images = sorted(photo_folder.iterdir())[:2]
    message = (
        f"error: {run}: its encoder learned nothing (train.encoder_weight 0), so no image can be "
        "encoded; train.method post_hoc_encoder trains one for its generator"
    )
    for arguments in (
        ("reconstruct", run, *images),
        ("edit", run, images[0], "--element", "0=1"),
        ("interpolate", run, "--between", *images),
    ):
        code, _, errors = command(*arguments, "--out", out)
        assert_user_error(code, errors, message)
        assert not out.exists()
