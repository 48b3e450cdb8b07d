"""Pixel norm and minibatch standard deviation, against numbers recorded from StyleGAN's code."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.normalisation import MinibatchStddev, PixelNorm

RECORDED = np.load(Path(__file__).parent / "recorded" / "backbones" / "stylegan.npz")
IMAGES = RECORDED["blocks/mbstd_x"]  # (8, 4, 4, 6)


def test_pixel_norm():
    np.testing.assert_allclose(
        PixelNorm()(RECORDED["blocks/x"]), RECORDED["blocks/pixel_norm"], rtol=1e-6
    )


@pytest.mark.parametrize("group", [2, 4, 8])
@pytest.mark.parametrize("features", [1, 2])
def test_minibatch_stddev(group, features):
    with_features, with_zeros = MinibatchStddev(group, features)(IMAGES)
    expected = RECORDED[f"blocks/mbstd_group{group}_features{features}"]
    np.testing.assert_allclose(with_features[..., 6:], expected, rtol=1e-6)
    np.testing.assert_array_equal(with_features[..., :6], IMAGES)
    np.testing.assert_array_equal(
        with_zeros, np.concatenate([IMAGES, np.zeros_like(expected)], axis=-1)
    )


@pytest.mark.parametrize("static", [True, False])
@pytest.mark.parametrize(("count", "group"), [(3, 3), (6, 3), (5, 1), (8, 4)])
def test_a_batch_of_any_size_has_groups(count, group, static):
    """With a group size of 4; in a graph whose batch size is known, or not."""
    layer = MinibatchStddev(4)
    specification = tf.TensorSpec((count if static else None, 4, 4, 6))
    outputs, _ = tf.function(layer, [specification])(IMAGES[:count])
    grouped = IMAGES[:count].reshape(group, count // group, 4, 4, 6)
    deviations = np.sqrt(grouped.var(axis=0) + 1e-8).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(outputs[:, 0, 0, 6], np.tile(deviations, group), rtol=1e-5)


def test_float16_neither_overflows_nor_loses_its_type():
    images = 1000 * IMAGES
    expected = 1000 * RECORDED["blocks/mbstd_group4_features1"]
    outputs, _ = MinibatchStddev(4, dtype="mixed_float16")(images)
    assert outputs.dtype == tf.float16
    np.testing.assert_allclose(outputs[..., 6:], expected, rtol=2e-3)
    normalised = PixelNorm(dtype="mixed_float16")(images)
    assert normalised.dtype == tf.float16
    np.testing.assert_allclose(np.mean(np.square(normalised, dtype=np.float32), -1), 1, rtol=2e-3)


def test_features_must_divide_the_channels():
    with pytest.raises(ValueError, match=r"features must divide the 6 channels. Received: 4"):
        MinibatchStddev(4, features=4)(IMAGES)


def test_a_saved_model_has_both_layers(tmp_path):
    images = keras.Input((4, 4, 6))
    outputs = MinibatchStddev(2, 2)(PixelNorm()(images))
    model = keras.Model(images, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for ours, theirs in zip(model(IMAGES), loaded(IMAGES), strict=True):
        np.testing.assert_array_equal(ours, theirs)
