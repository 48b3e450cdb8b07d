"""Exemplars of texture models: made ones, and image files as they are read."""

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from data.exemplars import Crop, make_exemplar, read_exemplar
from data.made_exemplars import make_bricks


@pytest.fixture
def pixels():
    return make_bricks(40, 48, 1)


@pytest.fixture
def photo(pixels, tmp_path):
    """A PNG file of 40x48 pixels in colour."""
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


def test_the_made_exemplar_is_a_wall_of_bricks():
    exemplar = make_exemplar("bricks", 0)
    assert exemplar.image.shape == exemplar.other.shape == (128, 128, 3)
    np.testing.assert_array_equal(exemplar.image, make_exemplar("bricks", 0).image)
    assert np.any(exemplar.image != make_exemplar("bricks", 1).image)
    rows = exemplar.image.astype(float).mean(axis=(1, 2))  # courses repeat after 16 pixels
    assert np.corrcoef(rows[:-16], rows[16:])[0, 1] > 0.8
    assert np.corrcoef(rows[:-8], rows[8:])[0, 1] < 0.2


def test_the_made_cobbles_are_stones_of_one_tone_between_dark_gaps():
    cobbles = make_exemplar("cobbles", 0)
    assert cobbles.image.shape == cobbles.other.shape == (128, 128, 3)
    grey = np.hstack([cobbles.image, cobbles.other]).mean(axis=2)
    stones, count = scipy.ndimage.label(grey > 80)
    sizes = scipy.ndimage.sum_labels(np.ones_like(grey), stones, range(1, count + 1))
    assert 128 * 256 / 14**2 * 0.7 < np.count_nonzero(sizes > 30) < 128 * 256 / 14**2 * 1.4
    assert 0.1 < np.mean(grey < 80) < 0.5


@pytest.mark.parametrize(("mode", "shape"), [("L", (9, 7)), ("RGBA", (9, 7, 4))])
def test_grey_and_transparent_exemplars(tmp_path, mode, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels, mode).save(tmp_path / "image.png")
    read = read_exemplar(tmp_path / "image.png", None, 16).image
    if mode == "L":
        np.testing.assert_array_equal(read, pixels[:, :, None].repeat(3, axis=2))
    else:  # over white
        alpha = pixels[:, :, 3:] / 255
        over = alpha * pixels[:, :, :3] + (1 - alpha) * 255
        np.testing.assert_allclose(read, over, atol=1)


def test_a_large_exemplar_is_shrunk_and_the_user_is_told(photo, pixels):
    exemplar = read_exemplar(photo, None, 24)
    assert exemplar.image.shape == (20, 24, 3)
    assert exemplar.remark == "shrunk from 40x48 to 20x24 (longest_side)"
    assert exemplar.other is None
    mean = pixels.mean(axis=(0, 1))
    np.testing.assert_allclose(exemplar.image.mean(axis=(0, 1)), mean, atol=1)


def test_another_crop_lies_beside_the_first(photo, pixels):
    cut = read_exemplar(photo, Crop(16, 20), 64)  # the centre: rows 12-28, columns 14-34
    np.testing.assert_array_equal(cut.image, pixels[12:28, 14:34])
    assert cut.other is None  # 14 columns and 12 rows are left on each side
    cut = read_exemplar(photo, Crop(16, 20, 0, 0), 64)
    np.testing.assert_array_equal(cut.other, pixels[:16, 20:40])
