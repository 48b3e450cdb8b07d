"""Small folders, zip files, CelebA, TFRecord files and TensorFlow Datasets are read right."""

import gzip
import os
import sys
import types
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from config import UserError
from config.sections import DataConfig
from data.images import MAX_BYTES, BadImageError
from data.loading import open_images
from data.sources import open_source
from data.sources.base import full_name
from tests.conftest import lock, write_folder, write_zip


@pytest.fixture
def make_data_config(tmp_path):
    """A function: a data config for a source."""

    def make(source, **changes):
        folder = str(tmp_path / "cache")
        return DataConfig(source=source, resolution=8, cache_folder=folder, **changes)

    return make


def write_records(path, contents, feature="image"):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in contents:
            value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))
            features = tf.train.Features(feature={feature: value})
            writer.write(tf.train.Example(features=features).SerializeToString())


def names_of(data_config):
    """The names of the images by split: [train, test]."""
    return [open_images(data_config, split).names for split in ("train", "test")]


@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_folder_and_zip_give_the_same_images(tmp_path, photos, make_data_config, write):
    files = photos(6)
    nested = {f"people/{name}": content for name, content in files.items()}
    no_images = {"notes.txt": b"no image", "people/.a.png": b"?", "__MACOSX/._a.txt": b"?"}
    images = open_images(
        make_data_config(write(tmp_path / "images", nested | no_images), test_size=1), "train"
    )
    assert images.names == sorted(nested)[:5]
    for index, name in enumerate(images.names):
        decoded = tf.io.decode_image(nested[name], channels=3)[..., :3]
        if "png" not in name:  # a png has an alpha channel
            expected = tf.image.resize(decoded, (8, 8)) / 127.5 - 1
            np.testing.assert_allclose(images.read([index])[0], expected, atol=1e-6)


def test_the_last_images_are_for_testing_and_the_first_for_training(
    tmp_path, photos, make_data_config
):
    source = write_folder(tmp_path / "images", photos(20))
    train, test = names_of(make_data_config(source, train_size=10, test_size=4))
    assert [int(name[6:9]) for name in train] == list(range(10))
    assert [int(name[6:9]) for name in test] == [16, 17, 18, 19]
    assert [len(names) for names in names_of(make_data_config(source))] == [18, 2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: f"folder:{path}/nowhere", "no such folder"),
        (lambda path: write_folder(path / "none", {"readme.txt": b"hello"}), "no image here"),
        (lambda path: f"zip:{path}/nowhere.zip", "no such file: .*nowhere.zip"),
        (lambda path: f"zip:{path}", "data.source: .* is a folder, not a file"),
        (lambda path: write_zip(path / "none.zip", {"readme.txt": b"hello"}), "no image here"),
        (lambda path: f"tfrecord:{path}/*.tfrecord", "no file matches"),
        (lambda path: f"celeba:{path}/no.zip", "no such folder or zip file: .*no.zip"),
        (lambda path: f"folder:{__file__}", "is a file, not a folder; see zip:PATH"),
    ],
)
def test_a_source_without_images(tmp_path, make_data_config, make, message):
    with pytest.raises(UserError, match=message):
        open_images(make_data_config(make(tmp_path)), "train")


def test_an_empty_folder_and_a_file_that_is_no_zip(tmp_path, make_data_config):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no image here"):
        open_images(make_data_config(f"folder:{tmp_path / 'empty'}"), "train")
    (tmp_path / "fake.zip").write_bytes(b"this is no zip file")
    with pytest.raises(UserError, match=r"fake\.zip: not a zip file"):
        open_images(make_data_config(f"zip:{tmp_path / 'fake.zip'}"), "train")


def test_an_encrypted_image_in_a_zip_is_named(tmp_path, photos, make_data_config):
    """Python writes no encrypted files: the flag says what matters."""
    source = write_zip(tmp_path / "photos.zip", photos(4))
    data = bytearray((tmp_path / "photos.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # flags of the first entry of the directory
    (tmp_path / "photos.zip").write_bytes(data)
    with pytest.raises(UserError) as caught:
        open_images(make_data_config(source), "train")
    message = "photos.zip/photo_000.jpg: encrypted; zip files with a password are not read; "
    assert message in str(caught.value)


def test_unicode_names(tmp_path, photos, make_data_config):
    contents = list(photos(4).values())
    names = ["Éva 写真.png", "zoë/日本.jpg", "ß.jpeg", "🙂.jpg"]
    files = dict(zip(names, contents, strict=True))
    for write in (write_folder, write_zip):
        train, test = names_of(make_data_config(write(tmp_path / write.__name__, files)))
        assert train + test == sorted(names)


def test_names_in_broken_unicode_are_read_and_escaped_in_messages(tmp_path, photos):
    (content,) = photos(1).values()
    folder = tmp_path / "images"
    folder.mkdir()
    name = os.fsdecode(b"caf\xe9\x1b[31m.jpg")
    (folder / name).write_bytes(content)
    source = open_source(DataConfig(source=f"folder:{folder}", resolution=8))
    assert source.read(0) == content
    assert full_name(source, 0) == f"{folder}/caf\\udce9\\x1b[31m.jpg"


def test_hostile_names_in_a_zip_are_only_names(tmp_path, photos, make_data_config):
    names = ["../x.jpg", "/etc/y.jpg", "a\\..\\z.png", "C:\\w.jpg"]
    inner = tmp_path / "inner" / "folder"
    inner.mkdir(parents=True)
    source = write_zip(inner / "hostile.zip", dict(zip(names, photos(4).values(), strict=True)))
    train, test = names_of(make_data_config(source))
    assert train + test == sorted(names)
    assert open_images(make_data_config(source), "train").read(np.arange(3)).shape == (3, 8, 8, 3)
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert {name.split("_")[0] for name in written} == {"hostile.zip", "inventory"}


def test_the_error_of_an_unreadable_file_says_why(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a_dangling.jpg").symlink_to(tmp_path / "nowhere")
    (folder / "b_folder.jpg").mkdir()
    os.mkfifo(folder / "c_pipe.jpg")
    with open(folder / "d_huge.jpg", "wb") as file:
        file.truncate(MAX_BYTES + 1)
    source = open_source(DataConfig(source=f"folder:{folder}", resolution=8))
    assert source.names == ["a_dangling.jpg", "c_pipe.jpg", "d_huge.jpg"]
    for index, problem in enumerate(["no such file", "not a regular file", "larger than 512 MiB"]):
        with pytest.raises(BadImageError, match=problem):
            source.read(index)


def test_linked_folders_are_followed_once(tmp_path, photos, make_data_config):
    for folder, name in (("images", "a"), ("images/sub", "b"), ("elsewhere", "c")):
        write_folder(tmp_path / folder, {f"{name}.jpg": photos(1)["photo_000.jpg"]})
    (tmp_path / "images" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "images" / "sub" / "loop").symlink_to(tmp_path / "images")
    source = open_source(make_data_config(f"folder:{tmp_path / 'images'}"))
    assert source.names == ["a.jpg", "link/c.jpg", "sub/b.jpg"]


@pytest.fixture
def with_locked(tmp_path, photos, monkeypatch):
    """A `data.source`: nine photos, and a subfolder "locked" that cannot be read."""
    source = write_folder(tmp_path / "images", photos(9) | {"locked/a.jpg": b""})
    lock(monkeypatch, "locked")
    return source


def test_a_subfolder_that_cannot_be_read_is_named(tmp_path, make_data_config, with_locked):
    problem = f"{tmp_path}/images/locked: cannot be read: permission denied"
    assert open_source(make_data_config(with_locked)).passed_over.folders == [problem]
    with pytest.raises(UserError) as raised:
        open_images(make_data_config(with_locked), "train")
    assert str(raised.value) == f"{problem}; data.on_bad_image: skip leaves such folders out"


def test_a_subfolder_that_cannot_be_read_is_left_out_with_skip(make_data_config, with_locked):
    train, test = names_of(make_data_config(with_locked, on_bad_image="skip"))
    assert len(train + test) == 9


def test_what_can_be_read_is_not_all_of_celeba(celeba, tmp_path, make_data_config, monkeypatch):
    write_folder(tmp_path / "images", celeba | {"img_align_celeba/more/000007.jpg": b""})
    (tmp_path / "list_eval_partition.txt").write_text(PARTITION + "000007.jpg 0\n")
    lock(monkeypatch, "more")
    with pytest.raises(UserError, match=r"/more: cannot be read: permission denied$"):
        open_source(make_data_config(f"celeba:{tmp_path / 'images'}"))


@pytest.mark.parametrize("folder", ["images", "sub"])
def test_a_folder_without_anything_readable(tmp_path, make_data_config, monkeypatch, folder):
    source = write_folder(tmp_path / "images", {"sub/a.jpg": b""})
    lock(monkeypatch, folder)
    with pytest.raises(UserError, match=rf"/{folder}: cannot be read: permission denied$"):
        open_source(make_data_config(source))


@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_other_files_are_counted_by_ending(tmp_path, photos, make_data_config, write):
    others = ("sub/b.gif", "sub/a.GIF", "c.gif", "README", "d.tar.gz", "two\nlines.txt", ".hidden")
    others += (".git/objects", "__MACOSX/._a.gif") if write is write_zip else (".git/objects",)
    source = write(tmp_path / "images", photos(3) | dict.fromkeys(others, b""))
    found = open_source(make_data_config(source)).passed_over.kinds
    assert found == {
        ".gif": {"count": 3, "example": "c.gif"},
        "": {"count": 1, "example": "README"},
        ".gz": {"count": 1, "example": "d.tar.gz"},
        ".txt": {"count": 1, "example": r"two\nlines.txt"},
    }


def test_a_zip_with_an_absurd_offset(tmp_path, photos):
    source = open_source(
        DataConfig(source=write_zip(tmp_path / "images.zip", photos(1)), resolution=8)
    )
    source.members["photo_000.jpg"].header_offset = 2**64 - 2
    with pytest.raises(BadImageError, match="cannot be read"):
        source.read(0)


def test_the_error_of_a_damaged_zip_member_says_why(tmp_path, photos):
    source = write_zip(tmp_path / "images.zip", photos(3))
    path = tmp_path / "images.zip"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadImageError, match=r"bad crc-32"):
        open_source(DataConfig(source=source, resolution=8)).read(0)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("zeros.jpg", bytes(MAX_BYTES + 1), zipfile.ZIP_DEFLATED, 1)
    source = open_source(DataConfig(source=source, resolution=8))
    with pytest.raises(BadImageError, match="larger than 512 MiB"):
        source.read(source.names.index("zeros.jpg"))


CELEBA = {f"img_align_celeba/{number:06d}.jpg": number for number in range(1, 7)}
PARTITION = "".join(f"{number:06d}.jpg {number % 3}\n" for number in range(1, 7))


@pytest.fixture
def celeba(photos):
    """A small CelebA, {name: bytes}: images 3 and 6 to train, 2 and 5 to test, 1 and 4 neither."""
    return dict(zip(CELEBA, [c for n, c in photos(9).items() if "png" not in n], strict=True))


def numbers_of(images):
    return [int(name[-10:-4]) for name in images.names]


@pytest.mark.parametrize("place", ["inside", "beside", "Eval", "Eval around", "Kaggle"])
@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_celeba_has_its_official_partition(tmp_path, celeba, make_data_config, write, place):
    files, here = dict(celeba), tmp_path / "CelebA" / "Img"
    here.mkdir(parents=True)
    if place == "inside":
        files["list_eval_partition.txt"] = PARTITION.encode()
    elif place == "Kaggle":
        table = "image_id,partition\r\n" + PARTITION.replace(" ", ",").replace("\n", "\r\n")
        files["list_eval_partition.csv"] = table.encode()
    else:
        folder = {"beside": here, "Eval": here / "Eval", "Eval around": here.parent / "Eval"}[place]
        folder.mkdir(exist_ok=True)
        (folder / "list_eval_partition.txt").write_text(PARTITION)
    _, path = write(here / "img_align_celeba.zip", files).split(":", 1)
    train, test = (
        open_images(make_data_config(f"celeba:{path}"), split) for split in ("train", "test")
    )
    assert (numbers_of(train), numbers_of(test)) == ([3, 6], [2, 5])
    one = make_data_config(f"celeba:{path}", train_size=1, test_size=1)
    assert [numbers_of(open_images(one, split)) for split in ("train", "test")] == [[3], [5]]


def test_celeba_without_its_partition_says_where_to_get_it(tmp_path, celeba, make_data_config):
    _, path = write_folder(tmp_path / "faces" / "celeba", celeba).split(":", 1)
    with pytest.raises(UserError, match=r"no list_eval_partition\.txt .*mmlab.*data\.split: 0\.1"):
        open_images(make_data_config(f"celeba:{path}"), "train")
    train, test = names_of(make_data_config(f"celeba:{path}", split=0.4))
    assert sorted(train + test) == sorted(celeba)


@pytest.mark.parametrize(
    ("partition", "message"),
    [
        (PARTITION + "000007.jpg 0\n", r"1 images that .* lists are not here, .* 000007\.jpg"),
        (PARTITION[:-13], r"1 images here are not in .*txt, the first of them 000006\.jpg"),
        (PARTITION.replace("1.jpg 1", "1.jpg 3"), r"line 1: takes an image name and 0, 1 or 2"),
        (PARTITION.replace(" 2\n", " 1\n"), "0 images to test, fewer than 1"),
    ],
)
def test_a_partition_of_other_images(tmp_path, celeba, make_data_config, partition, message):
    files = celeba | {"list_eval_partition.txt": partition.encode()}
    _, path = write_folder(tmp_path / "celeba", files).split(":", 1)
    with pytest.raises(UserError, match=message):
        open_images(make_data_config(f"celeba:{path}"), "test")


def test_celeba_with_two_sets_of_images(tmp_path, celeba, make_data_config):
    twice = {name.replace("img_align_celeba", "img_celeba"): b"" for name in celeba}
    files = celeba | twice | {"list_eval_partition.txt": PARTITION.encode()}
    _, path = write_folder(tmp_path / "celeba", files).split(":", 1)
    with pytest.raises(
        UserError, match=r"two images of one name, img_align_celeba/000001\.jpg and"
    ):
        open_images(make_data_config(f"celeba:{path}"), "train")


def test_a_partition_that_would_fill_the_memory(tmp_path, celeba, make_data_config):
    _, path = write_zip(tmp_path / "celeba.zip", celeba).split(":", 1)
    with zipfile.ZipFile(path, "a") as archive:
        zeros = bytes(MAX_BYTES + 1)
        archive.writestr("list_eval_partition.txt", zeros, zipfile.ZIP_DEFLATED, 1)
    with pytest.raises(UserError, match=r"list_eval_partition\.txt: larger than 512 MiB"):
        open_images(make_data_config(f"celeba:{path}"), "train")


def test_tfrecord_files_in_order(tmp_path, photos, make_data_config):
    contents = list(photos(9).values())
    write_records(tmp_path / "b.tfrecord", contents[4:])
    write_records(tmp_path / "a.tfrecord", contents[:4])
    data_config = make_data_config(f"tfrecord:{tmp_path}/*.tfrecord", test_size=2)
    source = open_source(data_config)
    assert [source.read(index) for index in range(9)] == contents
    train, test = names_of(data_config)
    assert train[3:5] == [f"{tmp_path}/a.tfrecord#3", f"{tmp_path}/b.tfrecord#0"]
    assert test == [f"{tmp_path}/b.tfrecord#3", f"{tmp_path}/b.tfrecord#4"]
    assert full_name(source, 4) == f"{tmp_path}/b.tfrecord#0"


def test_tfrecord_files_are_not_held_open(tmp_path, make_data_config):
    for number in range(30):
        write_records(tmp_path / f"{number}.tfrecord", [b"x"])
    before = len(os.listdir("/proc/self/fd"))
    source = open_source(make_data_config(f"tfrecord:{tmp_path}/*"))
    assert [source.read(index) for index in range(30)] == [b"x"] * 30
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(UserError, match="no file matches"):
        open_source(make_data_config(f"tfrecord:{tmp_path}"))


def test_bad_tfrecord_files(tmp_path, photos, make_data_config):
    path = tmp_path / "a.tfrecord"
    data_config = make_data_config(f"tfrecord:{path}")
    write_records(path, photos(3).values(), feature="picture")
    with pytest.raises(BadImageError, match=r'no encoded image as feature "image"; .* picture'):
        open_source(data_config).read(1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(UserError, match=r"a\.tfrecord: truncated, or no TFRecord file$"):
        open_source(data_config)
    path.write_bytes(gzip.compress(whole))
    with pytest.raises(UserError, match="a gzip file must be unpacked first"):
        open_source(data_config)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="no record"):
        open_source(data_config)
    write_records(path, [b"x"] * 3)
    content = path.read_bytes()
    path.write_bytes(content[:12] + b"\xff" * 5 + content[17:])
    with pytest.raises(BadImageError, match="cannot be read"):
        open_source(data_config).read(0)


class FakeBuilder:
    """The attributes of a builder of TensorFlow Datasets that `open_tfds` uses."""

    def __init__(self, splits, file_format="tfrecord"):
        named = {name: types.SimpleNamespace(filepaths=paths) for name, paths in splits.items()}
        form = types.SimpleNamespace(value=file_format)
        self.info = types.SimpleNamespace(splits=named, file_format=form)

    def download_and_prepare(self):
        pass


@pytest.fixture
def install_builder(monkeypatch):
    """A function: make tensorflow_datasets.builder return a builder, or raise an exception."""

    def install(builder):
        def make(name):
            if isinstance(builder, Exception):
                raise builder
            return builder

        module = types.SimpleNamespace(builder=make)
        monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)

    return install


def test_tfds_splits_without_the_package(tmp_path, photos, make_data_config, install_builder):
    contents = list(photos(9).values())
    paths = {name: [tmp_path / f"{name}.tfrecord"] for name in ("train", "validation", "test")}
    for number, (path,) in enumerate(paths.values()):
        write_records(path, contents[3 * number : 3 * number + 3])
    install_builder(FakeBuilder(paths))
    train, test = names_of(make_data_config("tfds:faces"))
    assert train == [f"{tmp_path}/train.tfrecord#{record}" for record in range(3)]
    assert test == [f"{tmp_path}/test.tfrecord#{record}" for record in range(3)]
    del paths["test"]
    install_builder(FakeBuilder(paths))
    assert names_of(make_data_config("tfds:faces"))[1][0] == f"{tmp_path}/validation.tfrecord#0"
    del paths["validation"]
    install_builder(FakeBuilder(paths))
    assert names_of(make_data_config("tfds:faces", test_size=1))[1] == [
        f"{tmp_path}/train.tfrecord#2"
    ]


def test_tfds_that_cannot_be_prepared(tmp_path, make_data_config, install_builder, monkeypatch):
    install_builder(ConnectionError("cannot reach the host\nand many lines more"))
    with pytest.raises(UserError, match="cannot be prepared: cannot reach the host; TFDS_DATA_DIR"):
        open_images(make_data_config("tfds:mnist"), "train")
    install_builder(FakeBuilder({"train": []}, "array_record"))
    with pytest.raises(UserError, match="Received: train in array_record files"):
        open_images(make_data_config("tfds:mnist"), "train")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(UserError, match="pip install 'tensorflow-datasets"):
        open_images(make_data_config("tfds:mnist"), "train")


def test_tfds_with_the_package(tmp_path, make_data_config, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 12, 9, 3), dtype=np.uint8)

    class LittlePictures(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {"image": tfds.features.Image(shape=(12, 9, 3)), "label": tf.int64}
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, manager):
            return {
                "train": self._generate_examples(range(3)),
                "test": self._generate_examples(range(3, 5)),
            }

        def _generate_examples(self, indices):
            yield from ((index, {"image": pixels[index], "label": index}) for index in indices)

    builder = LittlePictures(data_dir=str(tmp_path / "tfds"))
    monkeypatch.setattr(tfds, "builder", lambda name: builder)
    images = {
        split: open_images(make_data_config("tfds:little"), split) for split in ("train", "test")
    }
    assert [len(images[split]) for split in ("train", "test")] == [3, 2]
    for split, files in images.items():
        stored = [example["image"] for example in tfds.as_numpy(builder.as_dataset(split))]
        expected = tf.image.resize(np.stack(stored), (8, 8)) / 127.5 - 1
        np.testing.assert_allclose(files.read(np.arange(len(stored))), expected, atol=1e-6)
