"""Sources, splits, order and resizing, with files made here."""

import zipfile

import numpy as np
import pytest
import tensorflow as tf

import data
from config import DataConfig, UserError
from data.images import to_network_range, to_uint8
from data.sources import open_images


def settings(source, **changes):
    return DataConfig(source=source, resolution=8, **changes)


def write_folder(path, files):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return f"folder:{path}"


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return f"zip:{path}"


def resized_by_hand(image, resolution):
    """Bilinear interpolation at pixel centres, without antialiasing."""
    image = image.astype(np.float64)
    for axis in (0, 1):
        size = image.shape[axis]
        position = (np.arange(resolution) + 0.5) * size / resolution - 0.5
        low = np.floor(position).astype(int)
        weight = (position - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        below = image.take(np.clip(low, 0, size - 1), axis=axis)
        above = image.take(np.clip(low + 1, 0, size - 1), axis=axis)
        image = below * (1 - weight) + above * weight
    return image / 127.5 - 1


def test_whole_images_are_resized_bilinearly_without_antialiasing():
    image = np.random.default_rng(0).integers(0, 256, (21, 30, 3), dtype=np.uint8)
    np.testing.assert_allclose(to_network_range(image, 8), resized_by_hand(image, 8), atol=1e-5)


def test_the_way_back_to_uint8_clips_and_rounds():
    values = np.array([-3.0, -1.0, 0.0, 0.5, 1.0, 7.0])
    np.testing.assert_array_equal(to_uint8(values), [0, 0, 128, 191, 255, 255])


def test_digits_have_a_fixed_split_of_1500_and_297():
    train, test = (open_images(settings("digits"), split) for split in ("train", "test"))
    assert (len(train), len(test)) == (1500, 297)
    images = train.read(np.arange(1500))
    assert images.shape == (1500, 8, 8, 3)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (-1.0, 1.0)
    np.testing.assert_array_equal(images[..., 0], images[..., 2])
    assert list(train.labels[:8]) == [2, 8, 2, 6, 6, 7, 1, 9]


@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_folder_and_zip_give_the_same_images(tmp_path, photos, write):
    files = photos(6)
    nested = {f"people/{name}": content for name, content in files.items()}
    source = write(tmp_path / "images", nested | {"notes.txt": b"no image", "people/.a.png": b"?"})
    images = open_images(settings(source, test_size=1), "train")
    assert images.names == sorted(nested)[:5]
    for index, name in enumerate(images.names):
        decoded = tf.io.decode_image(nested[name], channels=3).numpy()
        expected = resized_by_hand(decoded, 8)
        np.testing.assert_allclose(images.read([index])[0], expected, atol=1e-5)


def test_the_last_images_are_for_testing_and_the_first_for_training(tmp_path, photos):
    source = write_folder(tmp_path / "images", photos(20))
    train, test = (
        open_images(settings(source, train_size=10, test_size=4), split).names
        for split in ("train", "test")
    )
    assert train == sorted(train)
    assert [int(name[6:9]) for name in train] == list(range(10))
    assert [int(name[6:9]) for name in test] == [16, 17, 18, 19]
    defaults = {split: len(open_images(settings(source), split)) for split in ("train", "test")}
    assert defaults == {"train": 18, "test": 2}


def test_an_epoch_gives_each_image_once_in_an_order_of_its_own(make_config):
    config = make_config()  # 16 digits in batches of 4
    images = open_images(config.data, "train").read(np.arange(16))

    def order(seed, epoch):
        batches = np.concatenate(list(data.load(config, "train", seed, epoch)))
        return [int(np.abs(images - image).sum(axis=(1, 2, 3)).argmin()) for image in batches]

    assert sorted(order(0, 1)) == list(range(16))
    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_test_batches_keep_their_order_and_drop_the_last_partial_one(make_config):
    config = make_config(**{"data.test_size": 7, "evaluate.batch_size": 3})
    batches = [batch.numpy() for batch in data.load(config, "test")]
    expected = open_images(config.data, "test").read(np.arange(6))
    assert [batch.shape for batch in batches] == [(3, 16, 16, 3)] * 2
    np.testing.assert_array_equal(np.concatenate(batches), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: f"folder:{path}/nowhere", "no such folder"),
        (lambda path: write_folder(path / "none", {"readme.txt": b"hello"}), "no image here"),
        (lambda path: f"zip:{path}/nowhere.zip", "no such zip file"),
        (lambda path: write_zip(path / "none.zip", {"readme.txt": b"hello"}), "no image here"),
    ],
)
def test_nothing_to_read(tmp_path, make, message):
    with pytest.raises(UserError, match=message):
        open_images(settings(make(tmp_path)), "train")


def test_an_empty_folder_and_a_zip_that_is_none(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no image here"):
        open_images(settings(f"folder:{tmp_path / 'empty'}"), "train")
    (tmp_path / "fake.zip").write_bytes(b"this is no zip file")
    with pytest.raises(UserError, match=r"fake\.zip: not a zip file"):
        open_images(settings(f"zip:{tmp_path / 'fake.zip'}"), "train")


@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_a_file_that_is_no_image_is_named_before_anything_is_trained(tmp_path, photos, write):
    files = photos(8) | {"photo_003.jpg": b"GIF89a is no JPEG"}
    images = open_images(settings(write(tmp_path / "images", files)), "train")
    with pytest.raises(UserError, match=r"photo_003\.jpg: not a JPEG or PNG image"):
        images.check()


def test_a_truncated_image_is_named_when_it_is_met(tmp_path, photos, make_config):
    files = photos(8)
    files["photo_003.JPEG"] = files.pop("photo_003.jpg")[:200]
    source = write_folder(tmp_path / "images", files)
    config = make_config(**{"data.source": source, "data.train_size": None, "data.test_size": 1})
    open_images(config.data, "train").check()
    with pytest.raises(UserError, match=r"photo_003\.JPEG: cannot be decoded"):
        list(data.load(config, "train"))


def test_fewer_images_than_a_batch_or_than_asked_for(tmp_path, photos, make_config):
    source = write_folder(tmp_path / "images", photos(4))
    sizes = {"data.source": source, "data.train_size": None, "data.test_size": 1}
    with pytest.raises(UserError, match="3 images to train, fewer than one batch of 4"):
        data.load(make_config(**sizes), "train")
    with pytest.raises(UserError, match="has 4 images, too few for 9 to train and 1 to test"):
        data.load(make_config(**sizes | {"data.train_size": 9}), "train")


def test_unknown_split(make_config):
    with pytest.raises(ValueError, match="Received: 'validation'"):
        data.load(make_config(), "validation")
