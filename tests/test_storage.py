"""Files, images and folders are written whole, by a module that does not need TensorFlow."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from config import UserError, in_one_line
from data.storage import NewFolder, save_image, write_whole
from tests.conftest import full_disk


def test_importing_storage_does_not_import_tensorflow():
    code = "import sys, data.storage; sys.exit('tensorflow' in sys.modules)"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_an_interrupted_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "folder" / "file.txt"
    write_whole(path, lambda unfinished: unfinished.write_text("old"))

    def write_half(unfinished):
        unfinished.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_whole(path, write_half)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_written_whole_is_on_disk_before_it_gets_its_name(tmp_path, flushed, monkeypatch):
    path = tmp_path / "some" / "folder" / "file.txt"
    unflushed = []
    replace = os.replace

    def replace_flushed(source, destination):
        replace(source, destination)
        flushed.fsync(folder := os.open(destination.parent, os.O_RDONLY))  # the name alone
        os.close(folder)
        unflushed.extend(flushed.lost(destination.parent) & {"file.txt"})

    monkeypatch.setattr(os, "replace", replace_flushed)
    write_whole(path, lambda unfinished: unfinished.write_text("new"))
    assert unflushed == []
    monkeypatch.setattr(os, "replace", replace)
    write_whole(path, lambda unfinished: unfinished.write_text("newer"))
    assert path.read_text() == "newer"
    assert flushed.lost(tmp_path) == set()


def test_an_error_names_the_file_where_numpy_does_not(tmp_path):
    with full_disk(5000), pytest.raises(OSError, match="requested") as raised:
        write_whole(tmp_path / "file.npy", lambda unfinished: np.save(unfinished, np.zeros(9999)))
    pattern = rf"{tmp_path}/file\.npy: written in part only \(9999 requested and \d+ written\)"
    assert re.fullmatch(pattern, in_one_line(raised.value))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    (tmp_path / "file.txt").mkdir()
    with pytest.raises(OSError, match="directory") as raised:
        write_whole(tmp_path / "file.txt", lambda unfinished: unfinished.write_text("new"))
    assert in_one_line(raised.value) == f"{tmp_path}/file.txt: is a directory"


def test_a_folder_gets_its_name_on_disk(tmp_path, flushed):
    with NewFolder(tmp_path / "made") as folder:
        (folder / "file.txt").write_text("text")
    assert flushed.lost(tmp_path) == {"made/file.txt"}  # many files take long


def test_folders_that_cannot_be_flushed_are_no_error(tmp_path, monkeypatch):
    def fsync(number):
        if os.fstat(number).st_nlink > 1:
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(tmp_path / "file.txt", lambda unfinished: unfinished.write_text("text"))
    assert (tmp_path / "file.txt").read_text() == "text"

    def fail(number):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="error") as raised:
        write_whole(tmp_path / "file.txt", lambda unfinished: unfinished.write_text("new"))
    assert in_one_line(raised.value).endswith("file.txt: input/output error")
    assert (tmp_path / "file.txt").read_text() == "text"


def test_an_image_is_saved_as_png_without_loss(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    path = tmp_path / "images" / "image.png"
    save_image(path, pixels)
    with Image.open(path) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), pixels)
    with pytest.raises(OSError, match="image"):
        save_image(path / "below.png", pixels)


def test_a_folder_is_there_as_a_whole_or_not_at_all(tmp_path):
    def fail():
        with NewFolder(tmp_path / "made") as folder:
            (folder / "half.txt").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []
    with NewFolder(tmp_path / "made") as folder:
        (folder / "whole.txt").write_text("whole")
        assert not (tmp_path / "made").exists()
    assert (tmp_path / "made" / "whole.txt").read_text() == "whole"
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("made", "link"):
        with pytest.raises(UserError, match="is there already"), NewFolder(tmp_path / name):
            pass


def test_two_at_once_get_folders_of_their_own(tmp_path):
    first, second = (NewFolder(tmp_path / "made", is_numbered=True) for _ in range(2))
    with first as folder, second as other:
        (folder / "outer.txt").touch()
        (other / "inner.txt").touch()
    assert (second.path, first.path) == (tmp_path / "made", tmp_path / "made_2")
    assert (tmp_path / "made_2" / "outer.txt").exists()
    named = [NewFolder(tmp_path / "named") for _ in range(2)]

    def fill():
        with named[0] as folder, named[1] as other:
            (folder / "outer.txt").touch()
            (other / "inner.txt").touch()

    with pytest.raises(UserError, match="named is there already"):
        fill()
    assert [path.name for path in (tmp_path / "named").iterdir()] == ["inner.txt"]


def test_what_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match="file/made: cannot be written: "),
        NewFolder(tmp_path / "file" / "made"),
    ):
        pass

    def fill_the_disk():
        with NewFolder(tmp_path / "made"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="made: cannot be written: no space left on device"):
        fill_the_disk()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
