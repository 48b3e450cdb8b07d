"""Moving latents, against values by hand; and folders that appear whole or not at all."""

import errno

import numpy as np
import pytest

from config import UserError
from data.storage import NewFolder
from evaluate.inversion.editing import find_direction, frames_along, frames_between, parse_elements


class Run:
    """What `parse_elements` needs from a trained run."""

    scale = np.ones(4)
    elements_by_importance = np.array([2, 0, 3, 1])


def test_elements_by_index_and_by_rank():
    assert parse_elements("0,2-3", Run) == [0, 2, 3]
    assert parse_elements("1-3", Run, by_rank=True) == [2, 0, 3]
    for text in ("", "-1", "1,,2", "3-9999999999", "3-1", "²"):
        with pytest.raises(UserError):
            parse_elements(text, Run)


def test_frames_move_one_element_of_each_row():
    latents = np.float32([[1, 2, 3], [4, 5, 6]])
    one = frames_along(latents, [1], limit=2.0)
    assert one.shape == (2, 29, 3)
    np.testing.assert_allclose(one[1, [0, 14, 28]], [[4, -2, 6], [4, 0, 6], [4, 2, 6]], atol=1e-6)
    several = frames_along(latents, [2, 0], limit=1.0)
    np.testing.assert_allclose(several[:, 28], [[1, 2, 1], [1, 2, 3]], atol=1e-6)
    between = frames_between(*latents)
    np.testing.assert_allclose(between[0, [0, 14, 28]], [[1, 2, 3], [2.5, 3.5, 4.5], [4, 5, 6]])


def test_a_direction_is_found_where_the_examples_differ():
    generator = np.random.default_rng(0)
    scale = np.float32([2, 1, 0.01, 0.5])
    without = generator.normal(size=(200, 4)).astype(np.float32)
    shift = np.float32([1.5, 0, 0, 0])
    direction = find_direction(without[:100] + shift, without[100:], scale)
    np.testing.assert_allclose(direction.unit, [1, 0, 0, 0], atol=0.2)
    assert direction.gap == pytest.approx(3.0, abs=0.4)  # scaled by 2
    assert 0.7 < direction.accuracy < 0.95  # two normal distributions 1.5 apart: 77 %
    moved = direction.move(np.zeros((1, 4), np.float32), 1.0, scale)
    np.testing.assert_allclose((moved * scale) @ direction.unit, direction.gap, rtol=1e-5)
    np.testing.assert_allclose(moved[0, 0], 1.5, atol=0.2)


def test_equal_examples_have_no_direction():
    latents = np.ones((12, 3), np.float32)
    with pytest.raises(UserError, match="the two kinds of images have the same latents"):
        find_direction(latents, latents, np.ones(3, np.float32))


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


def test_what_cannot_be_written_is_told(tmp_path):
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
