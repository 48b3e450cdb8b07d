"""Features of the test images are computed once, and again when anything changes."""

import re

import numpy as np
import pytest

from config import UserError
from data.digits import DigitImages
from data.loading import ordered_batches
from evaluate.features.cache import images_digest, real_features
from tests.conftest import flip_bits
from train.runtime.distribution import Processes


class CountingFeatures:
    """A feature network that returns mean colours and counts its batches."""

    def __init__(self, weights="a", resize="none"):
        self.protocol = {"features": "any label", "features_sha256": weights, "resize": resize}
        self.calls = 0

    def extract(self, images):
        self.calls += 1
        return np.mean(images, axis=(1, 2))


def look_up(folder, features, batches):
    digest, extract = images_digest(batches), features.extract
    return real_features(folder, features.protocol, batches, digest, extract, Processes())


@pytest.fixture
def batches(make_config):
    """A function: the batches of the tiny test split, with `change` added to one pixel."""

    def make(change=0.0):
        images = DigitImages(16)
        images.keep(slice(8))
        images.pixels[3, 5, 5, 1] += change
        return ordered_batches(make_config(), images)

    return make


def test_the_second_time_features_are_read(batches, tmp_path):
    features = CountingFeatures()
    first = look_up(tmp_path, features, batches())
    again = look_up(tmp_path, features, batches())
    assert features.calls == 2  # two batches, both of the first time
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first, DigitImages(16).pixels[:8].mean(axis=(1, 2)), atol=1e-6)


def test_features_are_computed_for_another_image_other_weights_or_another_resize(batches, tmp_path):
    look_up(tmp_path, CountingFeatures(), batches())
    others = [
        (CountingFeatures(), batches(change=0.01)),
        (CountingFeatures(weights="b"), batches()),
        (CountingFeatures(resize="bilinear"), batches()),
    ]
    for features, images in others:
        look_up(tmp_path, features, images)
        assert features.calls == 2
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("damage", [b"", b"no array", None])
def test_features_from_a_damaged_file_are_computed_again_with_a_warning(batches, tmp_path, damage):
    expected = look_up(tmp_path, CountingFeatures(), batches())
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-20] if damage is None else damage)
    features = CountingFeatures()
    with pytest.warns(UserWarning, match="is damaged or outdated; the features are computed again"):
        again = look_up(tmp_path, features, batches())
    np.testing.assert_array_equal(again, expected)
    look_up(tmp_path, features, batches())
    assert features.calls == 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_flipped_bit_anywhere_or_a_zeroed_block_is_noticed(batches, tmp_path):
    images = batches()
    expected = look_up(tmp_path, CountingFeatures(), images)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    damaged = [content[:128] + bytes(64) + content[192:], *flip_bits(content, 50)]
    for each in damaged:
        path.write_bytes(each)
        message = re.escape(f"{path} is damaged or outdated; the features are computed again")
        with pytest.warns(UserWarning, match=f"^{message}$"):
            again = look_up(tmp_path, CountingFeatures(), images)
        np.testing.assert_array_equal(again, expected)
        assert path.read_bytes() == content


def test_features_of_another_network_under_this_name_are_computed_again(batches, tmp_path):
    """Whether an older version wrote them, without a checksum, or another file was copied."""
    expected = look_up(tmp_path, CountingFeatures(), batches())
    (path,) = tmp_path.iterdir()
    wide = CountingFeatures(weights="b")
    wide.extract = lambda images: np.ones((len(images), 7), np.float32)
    look_up(tmp_path, wide, batches())
    (other,) = set(tmp_path.iterdir()) - {path}
    np.save(tmp_path / "old.npy", np.ones((8, 7), np.float32))
    for copied in (other, tmp_path / "old.npy"):
        path.write_bytes(copied.read_bytes())
        with pytest.warns(UserWarning, match="is damaged or outdated"):
            again = look_up(tmp_path, CountingFeatures(), batches())
        np.testing.assert_array_equal(again, expected)


def test_features_that_are_not_finite_are_refused_and_not_kept(batches, tmp_path):
    features = CountingFeatures()
    features.__class__ = type(
        "Broken", (CountingFeatures,), {"extract": lambda *_: np.full((4, 3), np.nan)}
    )
    with pytest.raises(UserError, match="are not finite"):
        look_up(tmp_path, features, batches())
    assert list(tmp_path.iterdir()) == []
