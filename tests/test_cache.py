"""Decoded images are kept in memory and on disk."""

import re

import numpy as np
import pytest

from config import UserError
from data import cache
from data.batches import Batches
from data.loading import open_images, prepare
from tests.conftest import FORKSERVER, full_disk, write_folder


@pytest.fixture
def kept(tmp_path, photos, make_config):
    """A function: the training images of a folder of 150 photos, with the data options given."""
    source = write_folder(tmp_path / "images", photos(150))
    everything = {"data.source": source, "data.train_size": None, "data.test_size": 10}

    def make(kind, **options):
        changes = everything | {"data.cache": kind}
        changes |= {f"data.{key}": value for key, value in options.items()}
        return open_images(make_config(**changes).data, "train")

    make.config = lambda kind: make_config(**everything | {"data.cache": kind})
    return make


def files(folder):
    return sorted(path for path in (folder / "data").glob("images_*"))


@pytest.mark.parametrize("kind", ["memory", "disk"])
@pytest.mark.parametrize("options", [{}, {"crop": "center", "antialias": True}])
def test_both_caches_give_the_same_images_within_half_a_grey_level(kept, kind, options):
    order = np.random.default_rng(0).permutation(140)
    expected = kept("none", **options).read(order)
    np.testing.assert_allclose(kept(kind, **options).read(order), expected, atol=0.501 / 127.5)


def test_the_disk_cache_is_one_npy_file_that_is_written_once(kept, tmp_path, monkeypatch):
    images = kept("disk")
    (path,) = files(tmp_path)
    pixels = np.load(path)["pixels"]
    assert (pixels.shape, pixels.dtype) == ((140, 16, 16, 3), np.uint8)
    np.testing.assert_array_equal(pixels / np.float32(127.5) - 1, images.read(np.arange(140)))
    monkeypatch.setattr(cache, "_write_file", None)  # so that a second call would fail
    kept("disk")


def test_other_options_and_other_images_make_other_files(kept, tmp_path):
    for number, options in enumerate(
        [{}, {"crop": "center"}, {"antialias": True}, {"train_size": 50}], start=1
    ):
        kept("disk", **options)
        assert len(files(tmp_path)) == number
    kept("disk", flip=True)
    assert len(files(tmp_path)) == 4  # images are flipped when they are read
    path = tmp_path / "images" / "photo_001.JPEG"
    path.write_bytes((tmp_path / "images" / "photo_004.JPEG").read_bytes())
    kept("disk")
    assert len(files(tmp_path)) == 5


def test_an_interrupted_writing_is_continued(kept, tmp_path, monkeypatch):
    expected = kept("disk").read(np.arange(140))
    (path,) = files(tmp_path)
    path.unlink()
    starts, iterate_pixels = [], cache._iterate_pixels

    def interrupted(images, start, on_progress):
        starts.append(start)
        for first, batch in iterate_pixels(images, start, on_progress):
            yield first, batch
            if not start:
                raise KeyboardInterrupt

    monkeypatch.setattr(cache, "_iterate_pixels", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kept("disk")
    (unfinished,) = files(tmp_path)
    with open(unfinished, "ab") as file:
        file.write(b"half a row")
    np.testing.assert_array_equal(kept("disk").read(np.arange(140)), expected)
    assert starts == [0, 64]
    assert files(tmp_path) == [path]


def test_a_beginning_of_another_version_is_not_continued(kept, tmp_path):
    expected = kept("disk").read(np.arange(140))
    (path,) = files(tmp_path)
    content = path.read_bytes()
    path.unlink()
    path.with_suffix(".unfinished").write_bytes(content[:40] + b"?" + content[41:5000])
    np.testing.assert_array_equal(kept("disk").read(np.arange(140)), expected)
    assert path.read_bytes() == content


@pytest.mark.parametrize("damage", [b"", b"no array", None])
def test_a_damaged_file_is_made_again_with_a_warning(kept, tmp_path, damage):
    expected = kept("disk").read(np.arange(140))
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:-20] if damage is None else damage)
    message = re.escape(f"{path} is damaged or outdated; it is made again")
    with pytest.warns(UserWarning, match=f"^{message}$"):
        again = kept("disk")
    np.testing.assert_array_equal(again.read(np.arange(140)), expected)


@pytest.fixture
def damaged(kept, tmp_path):
    """A function: the training images of the disk cache, all read, with bytes of its file changed.

    It returns the messages of all warnings, and asserts that images and file are as before.
    """
    encoded, config = kept("none"), kept.config("disk")
    order = np.arange(140)
    expected = cache.cached(encoded, config.data).read(order)
    (path,) = files(tmp_path)
    content = path.read_bytes()

    def read_all(batch_size):
        images = cache.cached(encoded, config.data)
        if batch_size is None:
            return images.read(order)
        return np.concatenate(list(Batches(images, order, batch_size, keep_last=True)))

    def read(start, changed, batch_size=None):
        path.write_bytes(content[:start] + changed + content[start + len(changed) :])
        with pytest.warns(UserWarning, match="is damaged") as warned:
            np.testing.assert_array_equal(read_all(batch_size), expected)
        assert path.read_bytes() == content
        return {str(warning.message) for warning in warned}

    read.path, read.content = path, content
    read.again = f"{path} is damaged or outdated; it is made again"
    read.repaired = f"{path} is damaged; its damaged images are made again"
    return read


def test_a_flipped_bit_anywhere_is_noticed_and_repaired(damaged):
    header = len(damaged.content) - 140 * (16 * 16 * 3 + 4)
    generator = np.random.default_rng(0)
    places = generator.integers(0, len(damaged.content), 50).tolist()
    for place in [*places, *generator.integers(0, header, 5).tolist()]:
        flipped = damaged.content[place] ^ 1 << generator.integers(8)
        message = damaged.again if place < header else damaged.repaired
        assert damaged(place, bytes([flipped])) == {message}


@pytest.mark.parametrize("start", [0, 4096])
def test_a_zeroed_block_is_noticed_and_repaired(damaged, start):
    message = damaged.repaired if start else damaged.again
    assert damaged(start, bytes(4096), batch_size=8) == {message}


def test_a_file_that_is_truncated_while_in_use_is_repaired(kept, tmp_path):
    images = kept("disk")
    expected = images.read(np.arange(140))
    (path,) = files(tmp_path)
    content = path.read_bytes()
    with open(path, "r+b") as file:
        file.truncate(5000)
    with pytest.warns(UserWarning, match="is damaged; its damaged images are made again"):
        np.testing.assert_array_equal(images.read(np.arange(140)), expected)
    assert path.read_bytes() == content


def test_damage_is_noticed_in_a_file_that_cannot_be_written(kept, tmp_path, monkeypatch):
    images = kept("disk")
    expected = images.read(np.arange(140))
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:5000] + bytes(100) + path.read_bytes()[5100:])
    images.path = tmp_path / "read only"  # opening it fails: tests may run as root
    with pytest.warns(UserWarning, match="read only is damaged; its damaged images are made"):
        np.testing.assert_array_equal(images.read(np.arange(140)), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [(b"", "empty file"), (None, "has changed since the training began")],
)
def test_a_damaged_image_is_not_made_again_of_a_file_that_has_changed(
    kept, tmp_path, change, message
):
    images = kept("disk")
    (path,) = files(tmp_path)
    with open(path, "r+b") as file:
        file.seek(200)
        file.write(bytes(50))
    first, second = (tmp_path / "images" / name for name in ("photo_000.jpg", "photo_003.jpg"))
    first.write_bytes(second.read_bytes() if change is None else change)
    with (
        pytest.raises(UserError, match=rf"images/photo_000\.jpg: {message}"),
        pytest.warns(UserWarning, match="is damaged"),
    ):
        list(Batches(images, np.arange(140), 50))


def test_a_good_file_that_cannot_be_opened_is_not_replaced(kept, tmp_path, monkeypatch):
    kept("disk")
    (path,) = files(tmp_path)

    def refuse(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(cache, "DiskImages", refuse)
    with pytest.raises(UserError, match=r"data\.cache_folder: .*: too many open files"):
        kept("disk")
    assert files(tmp_path) == [path]


def put_sum_of_images(config, barrier, answers):
    barrier.wait()
    images = open_images(config.data, "train")
    answers.put(float(images.read(np.arange(len(images))).sum(dtype=np.float64)))


def test_two_processes_at_once_write_one_file(tmp_path, photos, make_config):
    source = write_folder(tmp_path / "images", photos(150))
    config = make_config(
        **{"data.source": source, "data.train_size": None, "data.test_size": 10},
        **{"data.cache": "disk"},
    )
    barrier, answers = FORKSERVER.Barrier(2), FORKSERVER.Queue()
    processes = [
        FORKSERVER.Process(target=put_sum_of_images, args=(config, barrier, answers))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    sums = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    expected = open_images(config.data, "train").read(np.arange(140)).sum(dtype=np.float64)
    assert sums == [expected, expected]
    assert [path.suffix for path in files(tmp_path)] == [".npy"]


def test_a_cache_that_does_not_fit_is_refused_before_it_is_written(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_memory_bytes", lambda: 10_000)
    monkeypatch.setattr(cache, "_free_bytes", lambda folder: 10_000)
    config = kept.config("memory")
    with pytest.raises(UserError, match=r"data.cache: memory takes 0.0 GB, more than"):
        prepare(config)
    for kind in ("memory", "disk"):
        with pytest.raises(UserError, match=f"data.cache: {kind} takes 0.0 GB, more than"):
            kept(kind)
    assert not [path for path in files(tmp_path) if path.stat().st_size]


def test_a_full_disk_gives_one_line_and_the_written_part_is_kept(tmp_path, photos, make_config):
    source = write_folder(tmp_path / "images", photos(150))
    config = make_config(
        **{"data.source": source, "data.train_size": None, "data.test_size": 10},
        **{"data.cache": "disk"},
    )
    open_images(config.data.model_copy(update={"cache": "none"}), "train")
    with full_disk(50_000), pytest.raises(UserError) as raised:
        open_images(config.data, "train")
    assert str(raised.value) == f"data.cache_folder: {tmp_path / 'data'}: file too large"
    (unfinished,) = files(tmp_path)
    assert unfinished.stat().st_size == 50_000
    images = open_images(config.data, "train")
    plain = open_images(config.data.model_copy(update={"cache": "none"}), "train")
    np.testing.assert_allclose(
        images.read(np.arange(140)), plain.read(np.arange(140)), atol=0.501 / 127.5
    )
