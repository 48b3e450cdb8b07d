"""The inventory of a source: one file, which is replaced when the source or the file changes."""

import os

import numpy as np
import pytest

from config.sections import DataConfig
from data.inventory import take_inventory
from data.sources import open_source
from tests.conftest import flip_bits, write_folder


@pytest.fixture
def source(tmp_path, photos):
    """A function: open a folder of 5 photos and a broken file."""
    name = write_folder(tmp_path / "images", photos(5) | {"zzz.jpg": b"no image"})
    return lambda: open_source(DataConfig(source=name, resolution=8))


def test_a_source_has_one_file_however_often_its_images_change(source, tmp_path, photos):
    folder = tmp_path / "data"
    digests = set()
    for number, (name, content) in enumerate(photos(4, seed=1).items()):
        (tmp_path / "images" / name).write_bytes(content)
        os.utime(tmp_path / "images" / name, (number, number))
        digests.add(take_inventory(source(), str(folder)).digests.tobytes())
    assert len(digests) == 4
    (path,) = folder.iterdir()
    write_folder(tmp_path / "others", photos(3))
    others = open_source(DataConfig(source=f"folder:{tmp_path}/others", resolution=8))
    content = path.read_bytes()
    take_inventory(others, str(folder))
    assert len(list(folder.iterdir())) == 2
    assert path.read_bytes() == content


def test_a_flipped_bit_anywhere_or_a_zeroed_block_is_noticed(source, tmp_path):
    expected = take_inventory(source(), str(tmp_path / "data"))
    assert expected.problems == {5: "not a JPEG, PNG, WebP or BMP image"}
    (path,) = (tmp_path / "data").iterdir()
    content = path.read_bytes()
    damaged = [content[:512] + bytes(256) + content[768:], *flip_bits(content, 50)]
    for each in damaged:
        path.write_bytes(each)
        with pytest.warns(UserWarning, match="damaged or outdated; the images are looked at again"):
            again = take_inventory(source(), str(tmp_path / "data"))
        np.testing.assert_equal(again, expected)
