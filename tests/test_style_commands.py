"""Truncation, style mixing and latent arithmetic, on networks with random weights."""

import numpy as np
import pytest
from PIL import Image

from data.images import to_uint8
from evaluate.trained_run import TrainedRun
from tests.conftest import MEAN_STYLE, assert_user_error, write_folder
from tests.test_trained_commands import pixels, small


def generate(trained, styles):
    return to_uint8(np.clip(trained.networks.generate_from_styles(styles), -1.0, 1.0))


def styles_of(trained, seed):
    return np.asarray(trained.networks.styles(trained.sample_latents(1, seed) * trained.scale))


@pytest.mark.parametrize("psi", [0.0, 0.7])
def test_truncation_pulls_styles_to_their_mean(styled, command, tmp_path, psi):
    arguments = ("--seeds", "3", "--files", "--truncation", psi, "--out", tmp_path / "out")
    assert command("sample", styled, *arguments)[0] == 0
    trained = TrainedRun(styled)
    expected = generate(trained, MEAN_STYLE + psi * (styles_of(trained, 3) - MEAN_STYLE))[0]
    found = pixels(tmp_path / "out" / "images" / "seed_0003.png")
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_a_mix_has_the_columns_styles_in_the_named_layers(styled, command, tmp_path):
    arguments = ("--rows", "1-2", "--columns", "5", "--layers", "0,3-4", "--out", tmp_path / "out")
    code, output, _ = command("mix", styled, *arguments)
    assert code == 0
    assert "layers 0, 3, 4 of 0 to 5 have the columns' styles" in output
    trained = TrainedRun(styled)
    rows = np.concatenate([styles_of(trained, seed) for seed in (1, 2)])
    column = styles_of(trained, 5)
    mixed = rows.copy()
    mixed[:, [0, 3, 4]] = column[:, [0, 3, 4]]
    sheet = pixels(tmp_path / "out" / "sheet.png")
    expected = [
        [np.full((16, 16, 3), 255), generate(trained, column)[0]],
        *zip(generate(trained, rows), generate(trained, mixed), strict=True),
    ]
    for row, tiles in enumerate(expected):
        for place, image in enumerate(tiles):
            difference = small(sheet, row, place, size=16).astype(int) - image.astype(int)
            assert np.abs(difference).max() <= 1
    assert np.any(mixed != rows)
    names = np.load(tmp_path / "out" / "latents.npz")["names"]
    assert list(names) == ["seed_0001", "seed_0002", "seed_0005"]
    assert (tmp_path / "out" / "images" / "seed_0002_seed_0005.png").exists()


def test_images_can_be_mixed_too(styled, command, tmp_path, photos):
    write_folder(tmp_path / "photos", photos(2))
    arguments = ("--rows", tmp_path / "photos", "--columns", "0", "--out", tmp_path / "out")
    code, output, _ = command("mix", styled, *arguments)
    assert code == 0
    assert "layers 0, 1, 2 of 0 to 5" in output
    assert len(list((tmp_path / "out" / "images").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mix", "--rows", "1", "--columns", "2"), "a style for each layer, stylegan, stylegan2,"),
        (("sample", "--truncation", "0.5"), "Received: dlsgan"),
        (("sample", "--truncation", "nan"), "--truncation takes a number from -10 to 10"),
        (("mix", "--rows", "2-1", "--columns", "2"), "a range goes upwards. Received: 2-1"),
        (
            ("mix", "--rows", "0-99", "--columns", "1-11"),
            "a sheet holds 1024 images. Received: --rows 0-99 --columns 1-11",
        ),
        (("mix", "--rows", "nowhere", "--columns", "2"), "nowhere"),
        (("arithmetic", "--plus", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_mixed_is_refused(trained, command, tmp_path, arguments, message):
    name, *options = arguments
    code, _, errors = command(name, trained.folder.path, *options, "--out", tmp_path / "out")
    assert_user_error(code, errors, message)
    assert not (tmp_path / "out").exists()


def test_layers_that_do_not_exist_are_refused(styled, command):
    code, _, errors = command("mix", styled, "--rows", "1", "--columns", "2", "--layers", "4-6")
    assert_user_error(code, errors, "there is no layer 6: use 0 to 5")


def test_arithmetic_adds_and_subtracts_mean_latents(trained, command, tmp_path):
    images = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype(np.uint8)
    for name, some in {"first": images[:2], "second": images[2:5], "third": images[5:]}.items():
        (tmp_path / name).mkdir()
        for index, image in enumerate(some):
            Image.fromarray(image).save(tmp_path / name / f"{index}.png")
    terms = ("--plus", tmp_path / "first", "--minus", tmp_path / "second")
    terms += ("--plus", tmp_path / "third" / "0.png")
    code, _, _ = command("arithmetic", trained.folder.path, *terms, "--out", tmp_path / "out")
    assert code == 0
    latents = trained.encode(images.astype(np.float32) / 127.5 - 1.0)
    means = [latents[:2].mean(axis=0), latents[5], latents[2:5].mean(axis=0)]
    result = means[0] + means[1] - means[2]
    stored = np.load(tmp_path / "out" / "latents.npz")
    np.testing.assert_allclose(stored["latents"], [*means, result], rtol=1e-4, atol=1e-5)
    assert list(stored["names"]) == ["first", "0", "second", "result"]
    expected = to_uint8(trained.generate(stored["latents"][-1:]))[0]
    np.testing.assert_array_equal(pixels(tmp_path / "out" / "images" / "result.png"), expected)
