"""SinGAN's pyramid and its resizing, held to what was recorded from the authors' code."""

import json

import numpy as np
import pytest

from tests.test_singan import IMAGE, RECORDED, channels_last
from train.textures.pyramid import build_pyramid, plan_pyramid, resize, scale_levels


def test_the_sizes_of_pyramids():
    pyramids = json.loads(str(RECORDED["pyramids"]))
    assert len(pyramids) == 20
    for name, recorded in pyramids.items():
        size, _, longest = name.partition(" max ")
        height, width = map(int, size.split("x"))
        pyramid = plan_pyramid(height, width, 25, int(longest))
        assert [list(size) for size in pyramid.sizes] == recorded["sizes"]
        assert pyramid.ratio == pytest.approx(recorded["scale_factor"], rel=1e-12)
        assert pyramid.shrinking == pytest.approx(recorded["scale1"], rel=1e-12)


@pytest.mark.parametrize("number", range(3))
def test_an_image_is_scaled(number):
    scaled = scale_levels(
        RECORDED[f"imresize/{number}/in"], float(RECORDED[f"imresize/{number}/scale"])
    )
    np.testing.assert_allclose(scaled, RECORDED[f"imresize/{number}/out"], rtol=1e-6, atol=1e-6)


def test_the_pyramid_of_an_image():
    reals = build_pyramid(IMAGE, plan_pyramid(22, 28, 14, 28))
    assert len(reals) == 4
    for scale, real in enumerate(reals):
        np.testing.assert_array_equal(real, channels_last(f"reals/{scale}"))


def test_an_image_that_repeats_still_does_when_it_is_scaled():
    image = np.float32(np.random.default_rng(0).uniform(-1, 1, (12, 15, 3)))
    once = resize(image, period=(15, 19))
    twice = resize(np.tile(image, (2, 2, 1)), period=(30, 38))
    np.testing.assert_allclose(twice, np.tile(once, (2, 2, 1)), rtol=0, atol=1e-5)
