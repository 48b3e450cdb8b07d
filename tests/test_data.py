"""Splits and order of the images, and how the pipeline treats bad images."""

import os

import numpy as np
import pytest
import tensorflow as tf

import data
from config import UserError
from config.sections import DataConfig
from data import inventory
from data.batches import Batches
from data.loading import check_size, open_images, prepare, shuffled_batches
from tests.conftest import write_folder


@pytest.fixture
def photo_config(tmp_path, photos, make_config):
    """A function: a config for a folder of photos, with some files and data options changed."""

    def make(count=9, changed_files=(), **options):
        source = write_folder(tmp_path / "images", photos(count) | dict(changed_files))
        defaults = {"data.source": source, "data.train_size": None, "data.test_size": 1}
        defaults["evaluate.batch_size"] = 1
        return make_config(**defaults | {f"data.{key}": value for key, value in options.items()})

    return make


def order_of(batches, images):
    """The index in `images` of each image in the batches."""
    pictures = np.concatenate(list(batches))
    return [int(np.abs(images - picture).sum(axis=(1, 2, 3)).argmin()) for picture in pictures]


def test_digits_have_a_fixed_split_of_1500_and_297():
    data_config = DataConfig(source="digits", resolution=8)
    train, test = (open_images(data_config, split) for split in ("train", "test"))
    assert (len(train), len(test)) == (1500, 297)
    images = train.read(np.arange(1500))
    assert images.shape == (1500, 8, 8, 3)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (-1.0, 1.0)
    np.testing.assert_array_equal(images[..., 0], images[..., 2])
    assert list(train.labels[:8]) == [2, 8, 2, 6, 6, 7, 1, 9]


@pytest.mark.parametrize("source", ["digits", "photos", "memory", "disk"])
def test_each_epoch_gives_each_image_once_in_a_new_order(make_config, photo_config, source):
    kept = {} if source == "photos" else {"cache": source}
    config = make_config() if source == "digits" else photo_config(17, **kept)
    images = open_images(config.data, "train").read(np.arange(16))

    def order(seed, epoch):
        return order_of(data.load(config, "train", seed, epoch), images)

    assert sorted(order(0, 1)) == sorted(order(0, 2)) == list(range(16))
    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


@pytest.mark.parametrize("cache", ["none", "memory", "disk"])
def test_the_order_does_not_depend_on_the_number_of_parallel_reads(photo_config, cache):
    images = open_images(photo_config(33, cache=cache).data, "train")
    order = np.random.default_rng(0).permutation(32)
    mirrored = order % 3 == 0
    one, eight = (
        np.concatenate(list(Batches(images, order, 4, mirrored, parallel_reads=count)))
        for count in (1, 8)
    )
    np.testing.assert_array_equal(one, eight)
    alone = images.read([order[5]])[0]
    np.testing.assert_array_equal(one[5], alone[:, ::-1] if mirrored[5] else alone)


def test_an_epoch_can_begin_at_any_step_without_reading_what_comes_before(
    photo_config, monkeypatch
):
    config = photo_config(17, flip=True)
    whole = [batch.numpy() for batch in data.load(config, "train", seed=3, epoch=2)]
    read = []
    images = open_images(config.data, "train")
    original = images.source.read
    monkeypatch.setattr(images.source, "read", lambda i: read.append(i) or original(i))
    for start in range(5):
        rest = list(shuffled_batches(config, images, seed=3, epoch=2, start=start))
        assert len(rest) == 4 - start
        for expected, batch in zip(whole[start:], rest, strict=True):
            np.testing.assert_array_equal(expected, batch)
        assert len(read) == 4 * (4 - start)
        read.clear()


def test_flipping_mirrors_about_half_of_the_training_images_and_no_test_image(make_config):
    plain, flipped = (
        make_config(**{"data.flip": flip, "data.train_size": 400}) for flip in (False, True)
    )
    before, after = (np.concatenate(list(data.load(c, "train"))) for c in (plain, flipped))
    mirrored = np.any(before != after, axis=(1, 2, 3))
    np.testing.assert_array_equal(after[mirrored], before[mirrored][:, :, ::-1])
    assert 150 < np.sum(mirrored) < 250
    before, after = (np.concatenate(list(data.load(c, "test"))) for c in (plain, flipped))
    np.testing.assert_array_equal(before, after)


def test_test_batches_keep_their_order_and_drop_the_last_partial_one(make_config):
    config = make_config(**{"data.test_size": 7, "evaluate.batch_size": 3})
    batches = [batch.numpy() for batch in data.load(config, "test")]
    expected = open_images(config.data, "test").read(np.arange(6))
    assert [batch.shape for batch in batches] == [(3, 16, 16, 3)] * 2
    np.testing.assert_array_equal(np.concatenate(batches), expected)


def test_a_split_by_content(tmp_path, photos, make_config):
    files = photos(200)
    files["zzz.jpg"] = files["photo_000.jpg"]
    config = {"data.train_size": None, "data.test_size": None, "data.split": 0.2}

    def names(folder, files, split="test", **changes):
        source = {"data.source": write_folder(tmp_path / folder, files)}
        return set(open_images(make_config(**config | source | changes).data, split).names)

    test = names("a", files)
    assert 25 < len(test) < 55  # 40 on average, with a standard deviation of 5.7
    assert names("a", files, "train") == files.keys() - test
    renamed = names("b", {f"b{name}": content for name, content in files.items()})
    assert renamed == {f"b{name}" for name in test}
    half = dict(list(files.items())[:100])
    assert names("c", half) == test & half.keys()
    assert names("a", files, **{"data.split_seed": 1}) != test
    for seed in range(5):  # equal files are in the same split
        drawn = names("a", files, **{"data.split_seed": seed})
        assert ("photo_000.jpg" in drawn) == ("zzz.jpg" in drawn)


def test_an_empty_split(photo_config):
    with pytest.raises(UserError, match="0 images to test, fewer than 1"):
        open_images(photo_config(3, split=1e-9, test_size=None).data, "train")


def test_a_bad_image_is_named_before_anything_is_trained(photo_config, photos):
    bad = {"photo_003.jpg": b"GIF89a", "photo_004.JPEG": photos(9)["photo_004.JPEG"][:200]}
    config = photo_config(9, bad)
    with pytest.raises(UserError) as raised:
        data.load(config, "train")
    assert "photo_003.jpg: not a JPEG, PNG, WebP or BMP image (and 1 more)" in str(raised.value)
    assert len(list(data.load(config, "test"))) == 1  # the one test image is fine


def test_bad_images_are_left_out_with_skip(photo_config, photos):
    config = photo_config(10, {"photo_003.jpg": b"", "photo_009.jpg": b"?"}, on_bad_image="skip")
    train, test = (open_images(config.data, split) for split in ("train", "test"))
    assert [int(name[6:9]) for name in train.names] == [0, 1, 2, 4, 5, 6, 7]
    assert [int(name[6:9]) for name in test.names] == [8]
    images, notices = prepare(config)
    assert (images["train"], images["test"]) == (7, 1)
    assert notices == ["2 bad images are left out; `python main.py check-data` lists them"]


@pytest.mark.parametrize("damage", ["removed", "truncated"])
def test_an_image_damaged_during_training_is_named(photo_config, tmp_path, damage):
    config = photo_config(9)
    batches = data.load(config, "train")
    assert len(list(batches)) == 2
    path = tmp_path / "images" / "photo_004.JPEG"
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:300])
    reason = "cannot be read: no such file" if damage == "removed" else "truncated or damaged"
    with pytest.raises(UserError, match=rf"photo_004\.JPEG: {reason}"):
        list(batches)
    if damage == "truncated":  # its size has changed, so it is looked at again
        with pytest.raises(UserError, match=rf"photo_004\.JPEG: {reason}"):
            data.load(config, "train")


def test_every_image_is_looked_at_once(photo_config, tmp_path, monkeypatch):
    config = photo_config(9)
    prepare(config)

    def refuse(content):
        raise AssertionError("decoded again")

    original = inventory.to_decodable
    monkeypatch.setattr(inventory, "to_decodable", refuse)
    prepare(config)
    (kept,) = (tmp_path / "data").iterdir()
    kept.write_bytes(kept.read_bytes()[:-30])
    monkeypatch.setattr(inventory, "to_decodable", original)
    with pytest.warns(UserWarning, match="is damaged or outdated; the images are looked at again"):
        prepare(config)
    prepare(config)


def test_folders_with_equal_names_sizes_and_times_are_told_apart(tmp_path, make_config):
    """Their files have equal names, sizes and times, as in archives with fixed dates."""
    pictures = {}
    for name, value in (("a", 0), ("b", 255)):
        content = tf.io.encode_png(np.full((8, 8, 3), value, np.uint8)).numpy()
        source = write_folder(tmp_path / name, {f"{i}.png": content.ljust(200) for i in range(6)})
        for path in (tmp_path / name).iterdir():
            os.utime(path, ns=(10**18, 10**18))
        sizes = {"data.train_size": None, "data.test_size": 1, "data.cache": "disk"}
        config = make_config(**{"data.source": source} | sizes)
        pictures[name] = open_images(config.data, "train").read([0, 1]).mean()
    assert pictures == {"a": -1.0, "b": 1.0}


def test_a_file_that_changes_during_the_look_is_looked_at_again(
    photo_config, tmp_path, monkeypatch
):
    config = photo_config(9)
    first = tmp_path / "images" / "photo_000.jpg"
    unchanged = first.read_bytes()
    original = inventory.to_decodable

    def change(content):
        if content == unchanged:  # it has been read; other threads read other images
            first.write_bytes(unchanged + b"more")
        return original(content)

    monkeypatch.setattr(inventory, "to_decodable", change)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # the first image is read first
    before = open_images(config.data, "train").digests
    after = open_images(config.data, "train").digests
    assert np.any(before[0] != after[0])


def test_an_image_that_could_not_be_read_is_tried_again(photo_config, tmp_path):
    config = photo_config(9, on_bad_image="skip")
    path, away = tmp_path / "images" / "photo_004.JPEG", tmp_path / "away"
    path.rename(away)
    path.symlink_to(away.with_name("nowhere"))
    assert len(open_images(config.data, "train")) == 7
    assert list((tmp_path / "data").iterdir()) == []


def test_a_cache_folder_that_cannot_be_made(photo_config, tmp_path):
    (tmp_path / "file").write_text("in the way")
    config = photo_config(9, cache_folder=str(tmp_path / "file" / "data"))
    with pytest.raises(UserError, match=r"data\.cache_folder: .*file/data: not a directory"):
        open_images(config.data, "train")


def test_fewer_images_than_a_batch_or_than_train_size(photo_config):
    with pytest.raises(UserError, match="3 images to train, fewer than one batch of 4"):
        data.load(photo_config(4), "train")
    with pytest.raises(UserError, match="3 images to train, fewer than 9"):
        data.load(photo_config(4, train_size=9), "train")


def test_full_batches_must_hold_enough_images_to_compare_features(make_config):
    config = make_config(**{"evaluate.batch_size": 3, "evaluate.features": "digits"})
    check_size(config, "train", 4)
    with pytest.raises(UserError, match="5 images to test; full batches of 3 hold 3 of them"):
        check_size(config, "test", 5)
    check_size(config, "test", 6)


def test_unknown_split(make_config):
    with pytest.raises(ValueError, match="Received: 'validation'"):
        data.load(make_config(), "validation")


def test_the_pipeline_decodes_and_resizes_all_formats(photo_config):
    images = open_images(photo_config(9, test_size=1).data, "train")
    for index, name in enumerate(images.names):
        content = images.source.read(index)
        decoded = tf.io.decode_image(content, channels=3 if "png" not in name else 4).numpy()
        if "png" in name:  # its alpha is laid over white
            alpha = decoded[..., 3:] / 255
            decoded = np.rint(decoded[..., :3] * alpha + 255 * (1 - alpha))
        expected = tf.image.resize(decoded, (16, 16)) / 127.5 - 1
        tolerance = 1.01 / 127.5 if "png" in name else 1e-6
        np.testing.assert_allclose(images.read([index])[0], expected, atol=tolerance)
