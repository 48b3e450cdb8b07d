"""How alike the patches of two images are."""

import numpy as np
import pytest

from evaluate.metrics import patches
from evaluate.metrics.patches import measure_copying, patch_distances

IMAGE = np.random.default_rng(0).random((40, 44, 3))


def test_an_image_is_at_no_distance_from_itself_and_from_itself_mirrored_in_colour():
    assert patch_distances(IMAGE, IMAGE) == [0.0, 0.0, 0.0]
    assert measure_copying(IMAGE, IMAGE) == pytest.approx((1.0, 0.0), abs=1e-3)


def test_the_distance_of_two_plain_images_is_their_difference_along_the_projections():
    distances = patch_distances(np.full((24, 24, 3), 0.75), np.full((24, 24, 3), 0.25))
    directions = np.random.default_rng(0).standard_normal((75, 512))
    directions /= np.linalg.norm(directions, axis=0)
    expected = 0.5 * np.sqrt(np.mean(np.square(directions.sum(axis=0))))
    np.testing.assert_allclose(distances, expected, rtol=1e-5)


def test_the_distance_of_two_projected_laws_is_that_of_their_quantiles(monkeypatch):
    """One projection on one pixel: quantiles of uniform values, and of these moved by 0.1."""
    monkeypatch.setattr(patches, "_PROJECTIONS", 1)
    steps = np.linspace(0, 1, 30 * 30).reshape(30, 30, 1).repeat(3, axis=2)
    np.testing.assert_allclose(
        patch_distances(steps + 0.1, steps)[0], abs(_direction().sum()) * 0.1, rtol=1e-4
    )


def _direction():
    direction = np.random.default_rng(0).standard_normal((75, 1))
    return direction / np.linalg.norm(direction)


def test_the_order_of_pixels_counts():
    smooth = np.sin(np.indices((40, 40)).sum(axis=0) / 3)[:, :, None].repeat(3, axis=2) / 2 + 0.5
    shuffled = np.random.default_rng(0).permutation(smooth.reshape(-1, 3)).reshape(smooth.shape)
    moved = np.roll(smooth, (5, 9), axis=(0, 1))
    assert max(patch_distances(moved, smooth)) < 0.5 * min(patch_distances(shuffled, smooth))


def test_a_scale_too_small_for_a_patch_has_no_distance():
    distances = patch_distances(IMAGE[:12, :12], IMAGE)
    assert np.isnan(distances).tolist() == [False, False, True]  # 12, 6 and 3 pixels


def test_half_an_image_uses_half_of_its_patches():
    used, distance = measure_copying(IMAGE[:22], IMAGE)
    assert used == 18 / 36
    assert distance < 1e-3
    plain = measure_copying(np.full((10, 10, 3), 0.5), IMAGE)
    assert plain.used == 1 / (36 * 40)
    assert plain.distance > 0.1


def test_of_large_images_a_subset_counts(monkeypatch):
    monkeypatch.setattr(patches, "_MOST_PATCHES", 100)
    assert measure_copying(IMAGE, IMAGE) == pytest.approx((1.0, 0.0), abs=1e-3)
    assert patch_distances(IMAGE, IMAGE) == [0.0, 0.0, 0.0]
