"""Moving latents, against values by hand."""

import numpy as np
import pytest

from config import UserError
from evaluate.inversion.editing import find_direction, frames_along, frames_between, parse_elements


class Run:
    """What `parse_elements` needs from a trained run."""

    scale = np.ones(4)
    elements_by_importance = np.array([2, 0, 3, 1])


def test_elements_by_index_and_by_rank():
    assert parse_elements("0,2-3", Run) == [0, 2, 3]
    assert parse_elements("1-3", Run, by_rank=True) == [2, 0, 3]
    for text in ("", "-1", "1,,2", "3-9999999999", "3-1", "²", "1,0-2", "9" * 5000):
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
