"""The commands for texture models, their exemplars and their settings."""

import csv
import signal

import numpy as np
import pytest
from PIL import Image

from config import UserError
from config.textures import COMPARED, load_compared, load_texture_config
from config.textures.gotex import GotexConfig
from config.textures.singan import SinganConfig
from data.exemplars import make_exemplar
from data.made_exemplars import make_bricks
from evaluate.textures import sizes
from evaluate.textures.sheet import lay_out
from tests.conftest import assert_user_error, read_files
from train.textures.methods import METHODS

TEXTO = ("--set", "steps=50", "--set", "scales=2", "--set", "components=1")
SHORT = ("--set", "scales=2", "--set", "steps=2", "--set", "potential_steps=1")
GAN = ("widths=[4]", "field=3", "batch_size=2", "steps=2")
SINGAN = (
    *("coarsest_side=30", "width=2", "steps=2", "discriminator_steps=1", "generator_steps=1"),
    *("learning_rate=0.5", "start_scale=1"),
)
NETWORK = (*SHORT, "--set", "form=network", "--set", "levels=2")


def of_method(name, settings):
    return ("--method", name, *(part for text in settings for part in ("--set", text)))


PSGAN = of_method("psgan", GAN)


pytestmark = pytest.mark.usefixtures("untraced")


@pytest.fixture
def photo(tmp_path):
    """A PNG file of 40x48 pixels in colour."""
    path = tmp_path / "photo.png"
    Image.fromarray(make_bricks(40, 48, 1)).save(path)
    return path


@pytest.fixture
def texture(command, photo, tmp_path):
    """A function: learn the photo; returns the folder."""

    def run(*arguments, name="texture"):
        out = tmp_path / name
        code, output, errors = command("texture", photo, *arguments, "--out", out)
        assert (code, errors) == (0, "")
        assert f"all of it is in {out}" in output
        return out

    return run


def read_pixels(path):
    return np.asarray(Image.open(path))


def read_rows(path):
    with open(path, newline="") as file:
        return {row["image"]: row for row in csv.DictReader(file)}


def test_a_texture_its_samples_sheet_and_measures(texture, photo):
    out = texture(*TEXTO, "--size", "30x50", "--count", "2", "--seed", "5", "--crop", "24x20+2+3")
    exemplar = read_pixels(out / "exemplar.png")
    np.testing.assert_array_equal(exemplar, read_pixels(photo)[2:26, 3:23])
    samples = [read_pixels(out / "samples" / f"seed_{seed:04d}.png") for seed in (5, 6)]
    assert [x.shape for x in samples] == [(30, 50, 3)] * 2
    assert np.abs(samples[0] - samples[1].astype(float)).mean() > 1
    rows = read_rows(out / "measures.csv")
    assert list(rows) == ["texto", "another crop", "Gaussian field", "pixels shuffled"]
    assert float(rows["texto"]["distance_1"]) < float(rows["pixels shuffled"]["distance_1"])
    assert rows["texto"]["SIFID"] == ""
    factor = -(-192 // 20)
    assert read_pixels(out / "sheet.png").shape == (22 + 30 * factor, 8 + 70 * factor, 3)
    assert not out.with_name("texture.unfinished").exists()


@pytest.mark.parametrize(
    "settings",
    [TEXTO, ("--method", "gotex", *NETWORK), PSGAN, of_method("singan", SINGAN[:-1])],
)
def test_more_samples_of_a_model_and_tiles(texture, command, settings, tmp_path):
    out = texture(*settings, "--size", "32x32", "--seed", "3")
    code, output, errors = command("texture-sample", out, "--size", "32x32", "--seed", "3")
    assert (code, errors) == (0, "")
    assert f"all of it is in {out / 'sample'}" in output
    again = read_pixels(out / "sample" / "samples" / "seed_0003.png")
    np.testing.assert_array_equal(again, read_pixels(out / "samples" / "seed_0003.png"))
    tiles = tmp_path / "tiles"
    command("texture-sample", out, "--size", "32x48", "--tile", "--out", tiles)
    tile = read_pixels(tiles / "samples" / "seed_0000.png")
    repeated = read_pixels(tiles / "repeated_2x2.png")
    np.testing.assert_array_equal(repeated, np.tile(tile, (2, 2, 1)))


def test_settings_of_samples_and_no_others_change_after_learning(texture, command, tmp_path):
    out = texture(*of_method("singan", SINGAN))
    shown = {}
    for start in (0, 1):
        made = tmp_path / f"start_{start}"
        setting = f"start_scale={start}"
        command("texture-sample", out, "--size", "40x48", "--set", setting, "--out", made)
        shown[start] = read_pixels(made / "samples" / "seed_0000.png")
    np.testing.assert_array_equal(shown[1], read_pixels(out / "samples" / "seed_0000.png"))
    assert np.any(shown[0] != shown[1])
    sample = ("texture-sample", out, "--size", "40x48", "--set")
    for text, message in (
        ("start_scale=3", "start_scale: this image has scales 0 to 2. Received: 3"),
        ("steps=3", "--set: of a learned singan model this takes start_scale. Received: steps"),
    ):
        assert_user_error(*command(*sample, text)[::2], message)
    message = "--tile: singan with these settings makes no images that repeat"
    assert_user_error(*command(*sample, "start_scale=1", "--tile")[::2], message)
    assert not (out / "sample").exists()


def test_a_texture_of_an_optimised_image(texture):
    out = texture("--method", "gotex", *SHORT, "--set", "synthesis_patches=50")
    assert next(iter(read_rows(out / "measures.csv"))) == "gotex"
    assert read_pixels(out / "samples" / "seed_0000.png").shape == (40, 48, 3)


def test_a_stopped_training_goes_on_with_the_same_command(texture, command, photo, tmp_path):
    whole = texture("--method", "gotex", *NETWORK, name="whole")
    original = METHODS["gotex"].fit
    try:
        METHODS["gotex"] = METHODS["gotex"]._replace(fit=_stop_in(original))
        out = tmp_path / "stopped"
        arguments = ("texture", photo, "--method", "gotex", *NETWORK, "--out", out)
        code, _, errors = command(*arguments)
    finally:
        METHODS["gotex"] = METHODS["gotex"]._replace(fit=original)
    assert code == 128 + signal.SIGTERM
    assert "stopped (SIGTERM); to go on: python main.py texture" in errors
    assert not out.exists()
    state = tmp_path / "stopped.unfinished"
    assert (state / "state.npz").exists()
    kept = read_files(state)
    code, _, errors = command(*arguments[:-2], "--seed", "9", "--out", out)
    assert_user_error(code, errors, "is of a training with other settings or another image")
    assert read_files(state) == kept
    assert texture("--method", "gotex", *NETWORK, name="stopped") == out
    for name in ("samples/seed_0000.png", "model.yaml"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    assert not state.exists()


def _stop_in(fit):
    def stopping(exemplar, config, seed, on_progress, unfinished):
        def stop(done, total):
            signal.raise_signal(signal.SIGTERM)

        return fit(exemplar, config, seed, stop, unfinished)

    return stopping


def test_all_methods_on_one_sheet(command, photo, tmp_path):
    settings = dict.fromkeys(COMPARED, SHORT[1::2]) | {"texto": TEXTO[1::2]}
    settings |= {"sgan": GAN, "psgan": GAN, "singan": SINGAN}
    texts = [f"{name}.{text}" for name, each in settings.items() for text in each]
    overrides = [part for text in texts for part in ("--set", text)]
    out = tmp_path / "compared"
    code, output, errors = command("texture-compare", photo, *overrides, "--out", out)
    assert (code, errors) == (0, "")
    assert "SIFID is not measured without --features" in output
    names = [*COMPARED, "Gaussian field", "pixels shuffled"]
    assert list(read_rows(out / "measures.csv")) == names
    assert sorted(x.stem for x in (out / "images").iterdir()) == sorted(names)
    assert read_pixels(out / "sheet.png").shape[2] == 3


def test_a_made_exemplar_is_shrunk_as_a_file_is(command):
    exemplar = make_exemplar("bricks", 0, 64)
    assert exemplar.image.shape == exemplar.other.shape == (64, 64, 3)
    assert exemplar.remark == "shrunk from 128x128 to 64x64 (longest_side)"
    message = "the image is 24x24 pixels: singan with these settings takes 25 and more"
    settings = of_method("singan", ["longest_side=24"])
    assert_user_error(*command("texture", *settings)[::2], message)


def test_a_sheet_keeps_sizes_and_pixels():
    images = {"a": np.zeros((100, 50, 3), np.uint8), "b": np.full((60, 80, 3), 9, np.uint8)}
    sheet = lay_out(images)
    assert sheet.shape == (22 + 400, 200 + 8 + 320, 3)
    assert np.all(sheet[22:422, :200] == 0)
    assert np.all(sheet[22 : 22 + 240, 208:] == 9)
    assert np.all(sheet[22 + 240 :, 208:] == 255)


def test_the_papers_settings_depend_on_the_form():
    assert load_texture_config("texto", preset="paper").steps == 100_000
    image = load_texture_config("gotex", ["steps=7"], "paper")
    assert (image.steps, image.scales, image.synthesis_patches) == (7, 4, None)
    network = load_texture_config("gotex", ["form=network"], "paper")
    assert (network.steps, network.scales, network.target_patches) == (5000, 5, 2000)
    assert load_compared(["gotex_network.steps=9"])["gotex_network"][1].steps == 9
    with pytest.raises(UserError, match="layers: names layers of the model in features"):
        load_texture_config("gotex", ["features=model:a.keras"])


@pytest.mark.parametrize(
    ("config", "smallest"),
    [(GotexConfig(), 46), (GotexConfig(scales=5), 94), (GotexConfig(scales=1), 4)],
)
def test_the_smallest_side_leaves_one_patch_at_the_coarsest_scale(config, smallest):
    side = config.smallest_side
    assert side == smallest
    for _ in range(config.scales - 1):
        side = (side - 4) // 2 + 1
    assert side == config.patch_size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--method", "pix"],
            "--method takes one of texto, gotex, sgan, psgan, singan. Received: pix",
        ),
        (["--set", "stesp=3"], "--set: stesp: unknown key; did you mean steps?"),
        (["--set", "steps"], "--set takes KEY=VALUE, such as steps=300. Received: steps"),
        (["--set", "steps=0"], "--set: steps: should be greater than or equal to 1. Received: 0"),
        (["--method", "gotex"], "the image is 40x48 pixels: gotex with these settings takes 46"),
        (["--method", "sgan"], "the image is 40x48 pixels: sgan with these settings takes 81"),
        ([*PSGAN, "--size", "8x9"], "--size is 8x9 pixels: psgan with these settings takes 9"),
        (["--method", "sgan", "--set", "waves=2"], "--set: waves: unknown key"),
        (
            ["--size", "16x99"],
            "--size is 16x99 pixels: texto with these settings takes 17 and more",
        ),
        (["--size", "12"], "--size takes HEIGHTxWIDTH in pixels, such as 128x192. Received: 12"),
        (["--size", "900000x900000"], "--size is 900000x900000 pixels: texto takes about 181,"),
        (["--crop", "41x4"], "--crop 41x4 reaches beyond the image"),
        (["--crop", "20"], "--crop takes HEIGHTxWIDTH in pixels"),
        (
            ["--size", "22x40", "--features", "inception_v3"],
            "the sample is 22x40 pixels: SIFID takes 23 and more in each direction",
        ),
        (
            ["--features", "inception_v3:nowhere.h5"],
            "--features: no such file: nowhere.h5",
        ),
        (["--features", "digits"], "--features takes inception_v3 or inception_v3:PATH.h5."),
    ],
)
def test_a_mistake_is_told_in_one_line(command, photo, tmp_path, arguments, message):
    before = read_files(tmp_path)
    code, _, errors = command("texture", photo, *arguments, "--out", tmp_path / "out")
    assert_user_error(code, errors, message)
    assert read_files(tmp_path) == before


def test_a_training_that_diverges_is_told_in_one_line(command, photo, tmp_path):
    settings = of_method("psgan", (*GAN, "colour_weight=1e38"))
    code, _, errors = command("texture", photo, *settings, "--out", tmp_path / "out")
    assert_user_error(code, errors, "the sample has values that are not finite: learning diverged")
    assert not (tmp_path / "out").exists()


def test_a_crop_needs_an_image_and_an_override_of_all_methods_a_name(command):
    message = "--crop takes an image file to cut from. Received: made:bricks"
    assert_user_error(*command("texture", "--crop", "20x20")[::2], message)
    message = "IMAGE takes a path or one of made:bricks, made:cobbles. Received: made:grass"
    assert_user_error(*command("texture", "made:grass")[::2], message)
    code, _, errors = command("texture-compare", "--set", "steps=3")
    assert_user_error(
        code, errors, f"--set takes NAME.KEY=VALUE with one of {', '.join(COMPARED)}. R"
    )


def test_a_model_folder_must_hold_the_model_that_it_names(texture, command, tmp_path):
    code, _, errors = command("texture-sample", tmp_path, "--size", "64x64")
    assert_user_error(code, errors, "no texture model is here (model.yaml is missing)")
    out = texture(*TEXTO)
    settings = out / "model.yaml"
    text = settings.read_text()
    sample = ("texture-sample", out, "--size", "96x96")
    settings.write_text(text.replace("texto", "pix"))
    message = "model.yaml: method: use one of texto, gotex, sgan, psgan, singan. Received: 'pix'"
    assert_user_error(*command(*sample)[::2], message)
    settings.write_text("method: [texto]\n")
    message = "model.yaml: method: use one of texto, gotex, sgan, psgan, singan. Received: ['texto"
    assert_user_error(*command(*sample)[::2], message)
    for method in ("gotex", "psgan", "singan"):
        settings.write_text(f"method: {method}\nsettings: {{}}\n")
        message = f"model.npz does not hold the {method} model that model.yaml describes"
        assert_user_error(*command(*sample)[::2], message)
    np.savez(out / "model.npz", sizes=3)
    assert_user_error(*command(*sample)[::2], message)
    settings.write_text(text)
    (out / "model.npz").write_bytes(b"no arrays")
    assert_user_error(*command(*sample)[::2], "model.npz: cannot be read: ")
    code, _, errors = command("texture-sample", out, "--size", "65x64", "--tile")
    assert_user_error(code, errors, "with --tile this model takes multiples of 2")
    assert not (out / "sample").exists()


def test_memory_is_asked_for_before_it_is_taken(monkeypatch):
    monkeypatch.setattr(sizes.os, "sysconf", lambda name: 2**15)  # a page, and how many
    with pytest.raises(UserError, match=r"takes about 5 GiB .* this machine has 1 GiB$"):
        sizes.require_size(GotexConfig(), "gotex", (2048, 2048), "--size")


@pytest.mark.parametrize(("width", "measured"), [(8, 282), (32, 564), (128, 1313)])
def test_the_memory_of_a_sample_of_singan_is_about_what_was_measured(width, measured):
    """The peak of a process over the one before it, in bytes a pixel, for 384x384 and more."""
    needed = SinganConfig(width=width, largest_width=width).rough_bytes(1)
    assert needed == pytest.approx(measured, rel=0.35)
