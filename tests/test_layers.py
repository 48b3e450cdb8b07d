"""Each layer against a plain NumPy computation of its formula."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers import (
    EqualizedConv2D,
    EqualizedDense,
    LearnedConstant,
    ModulatedConv2D,
    UpsampleImage,
)
from models.operations import (
    convolve,
    convolve_down,
    fir_filter,
    leaky_relu,
    with_builtin_gradients,
)

BINOMIAL = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64.0


@pytest.fixture
def random():
    generator = np.random.default_rng(0)
    return lambda *shape: generator.standard_normal(shape).astype(np.float32)


def correlate(images, kernel, before, after, stride=1):
    """Convolve by zero padding and a loop over windows; kernel (size, size, in, out)."""
    size = kernel.shape[0]
    padded = np.pad(images, ((0, 0), (before, after), (before, after), (0, 0)))
    steps = range(0, padded.shape[1] - size + 1, stride)
    return np.stack(
        [
            np.stack(
                [
                    np.tensordot(padded[:, y : y + size, x : x + size], kernel, axes=3)
                    for x in steps
                ],
                axis=1,
            )
            for y in steps
        ],
        axis=1,
    )


def per_channel(taps, channels):
    return taps[:, :, None, None] * np.eye(channels)


def leak(x):
    return np.where(x > 0, x, 0.2 * x)


def insert_zeros(images):
    batch, height, width, channels = images.shape
    doubled = np.zeros((batch, 2 * height, 2 * width, channels), images.dtype)
    doubled[:, ::2, ::2] = images
    return doubled


def test_fir_filter_pads_one_before_and_two_after(random):
    images = random(2, 6, 6, 3)
    expected = correlate(images, per_channel(BINOMIAL, 3), 1, 2)
    np.testing.assert_allclose(fir_filter(images), expected, atol=1e-6)
    np.testing.assert_allclose(
        fir_filter(images, gain=4.0, stride=2), 4 * expected[:, ::2, ::2], atol=1e-5
    )


def test_dense(random):
    inputs = random(4, 5)
    layer = EqualizedDense(3, activation="leaky_relu", gain=2.0)
    layer.build((None, 5))
    layer.bias.assign([1.0, 2.0, 3.0])
    expected = leak(inputs @ layer.kernel.numpy() * 2 / math.sqrt(5) + [1.0, 2.0, 3.0])
    np.testing.assert_allclose(layer(inputs), expected, atol=1e-5)


def test_convolution(random):
    inputs = random(2, 5, 5, 3)
    layer = EqualizedConv2D(4, 3, activation="leaky_relu", gain=1.5)
    layer.build(inputs.shape)
    layer.bias.assign(random(4))
    convolved = correlate(inputs, layer.kernel.numpy(), 1, 1)
    expected = leak(convolved * 1.5 / math.sqrt(9 * 3) + layer.bias.numpy())
    np.testing.assert_allclose(layer(inputs), expected, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3])
def test_down_convolution_filters_first(random, size):
    inputs, kernel = random(2, 8, 8, 3), random(size, size, 3, 4)
    filtered = correlate(inputs, per_channel(BINOMIAL, 3), 1, 2)
    # 'SAME' with stride 2 on an even size pads a 3x3 kernel's input at the end only
    expected = correlate(filtered, kernel, 0, size // 2, stride=2)
    np.testing.assert_allclose(convolve_down(inputs, kernel), expected, atol=1e-4)


@pytest.mark.parametrize("upsample", [False, True])
def test_modulated_convolution(random, upsample):
    inputs, style = random(2, 4, 4, 3), random(2, 5)
    layer = ModulatedConv2D(4, 3, upsample=upsample, activation="leaky_relu")
    layer.build(inputs.shape, style.shape)
    layer.bias.assign(random(4))
    layer.style.bias.assign(random(3))
    scale = style @ layer.style.kernel.numpy() * 2 / math.sqrt(5) + layer.style.bias.numpy() + 1
    outputs, kernel = inputs * scale[:, None, None, :], layer.kernel.numpy()
    if upsample:
        # A transposed convolution convolves the zero-filled input with the rotated kernel.
        rotated = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
        outputs = correlate(insert_zeros(outputs), rotated, 2, 0)
        outputs = 4 * correlate(outputs, per_channel(BINOMIAL, 4), 1, 2)
    else:
        outputs = correlate(outputs, kernel, 1, 1)
    outputs = outputs / outputs.std(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(layer(inputs, style), leak(outputs + layer.bias.numpy()), atol=1e-4)


def test_upsampled_image_by_hand():
    row = np.array([4.0, 8.0], np.float32)
    images = np.tile(row[None, None, :, None], (1, 2, 1, 1))
    # even columns: (3 x_i + x_{i+1}) / 4, odd ones: (x_i + 3 x_{i+1}) / 4, with zeros beyond the
    # end; the same for rows
    across = np.array([5.0, 7.0, 6.0, 2.0])
    down = np.array([1.0, 1.0, 0.75, 0.25])
    np.testing.assert_allclose(
        UpsampleImage()(images)[0, :, :, 0], np.outer(down, across), rtol=1e-6
    )


def test_learned_constant_is_the_same_for_every_sample(random):
    layer = LearnedConstant(4, 3)
    outputs = np.asarray(layer(random(5, 2)))
    assert outputs.shape == (5, 4, 4, 3)
    np.testing.assert_array_equal(outputs, np.repeat(layer.constant.numpy(), 5, axis=0))


def test_layers_begin_as_standard_normal_with_zero_bias():
    keras.utils.set_random_seed(0)
    layer = EqualizedConv2D(64, 3)
    layer.build((None, 8, 8, 64))
    assert np.std(layer.kernel) == pytest.approx(1.0, abs=0.02)
    assert np.mean(layer.kernel) == pytest.approx(0.0, abs=0.02)
    assert not np.any(layer.bias)


@pytest.mark.parametrize("size", [1, 3])
def test_gradients_of_the_convolution_equal_tensorflows(random, size):
    """First order, and second order as R1 needs it: by the input, then by the kernel."""
    feature_maps, kernel = random(2, 5, 7, 3), random(size, size, 3, 4)
    weights = random(2, 5, 7, 4)

    def gradients(convolution):
        x, k = tf.constant(feature_maps), tf.Variable(kernel)
        with tf.GradientTape() as outer:
            with tf.GradientTape(persistent=True) as inner:
                inner.watch(x)
                total = tf.reduce_sum(weights * tf.square(convolution(x, k)))
                linear = tf.reduce_sum(weights * convolution(x, k))
            penalty = tf.reduce_sum(tf.square(inner.gradient(linear, x)))
        return inner.gradient(total, x), inner.gradient(total, k), outer.gradient(penalty, k)

    expected = gradients(lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"))
    for gradient, reference in zip(gradients(convolve), expected, strict=True):
        np.testing.assert_allclose(gradient, reference, rtol=1e-4, atol=1e-4)


def test_gradients_of_the_filter_with_stride_2_in_bfloat16_equal_tensorflows(random):
    """First order, and second order as R1 needs it."""
    feature_maps, weights = random(2, 6, 8, 3), random(2, 3, 4, 3)

    def gradients():
        x, w = (tf.constant(values, tf.bfloat16) for values in (feature_maps, weights))
        with tf.GradientTape() as outer:
            outer.watch(w)
            with tf.GradientTape() as inner:
                inner.watch(x)
                total = tf.reduce_sum(w * fir_filter(x, gain=4.0, stride=2))
            gradient = inner.gradient(total, x)
            penalty = tf.reduce_sum(tf.square(tf.cast(gradient, tf.float32)))
        return tf.cast(gradient, tf.float32), tf.cast(outer.gradient(penalty, w), tf.float32)

    with with_builtin_gradients():
        expected = gradients()
    for gradient, reference in zip(gradients(), expected, strict=True):
        np.testing.assert_allclose(gradient, reference, rtol=2e-2, atol=2e-2)


def test_the_gradient_of_leaky_relu_by_hand():
    x = tf.constant([-2.0, -0.0, 0.0, 1e-30, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = leaky_relu(x)
    np.testing.assert_allclose(outputs, [-0.4, 0.0, 0.0, 1e-30, 3.0])
    np.testing.assert_allclose(tape.gradient(outputs, x), [0.2, 0.2, 0.2, 1.0, 1.0])


def test_dense_with_a_rate_multiplier_and_an_initial_bias(random):
    inputs = random(4, 5)
    keras.utils.set_random_seed(1)
    layer = EqualizedDense(
        300, activation="scaled_leaky_relu", gain=2.0, rate_multiplier=0.01, initial_bias=1.0
    )
    outputs = layer(inputs)
    assert 90 < np.std(layer.kernel) < 110
    np.testing.assert_allclose(layer.bias, np.full(300, 100.0))
    expected = math.sqrt(2) * leak(inputs @ layer.kernel.numpy() * 0.02 / math.sqrt(5) + 1.0)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="leaky_relu, scaled_leaky_relu, not tanh"):
        EqualizedDense(3, activation="tanh")
