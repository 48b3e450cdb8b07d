"""Convolutions with low-pass filters, without weights of their own: what the layers compute with.

In signatures `KerasTensor` stands for every tensor: Keras builds a network with symbolic ones and
runs it with TensorFlow's.
"""

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
from keras import KerasTensor, ops

FIR_TAPS = (1.0, 3.0, 3.0, 1.0)
CHANNELS_LAST = "channels_last"
LEAKY_SLOPE = 0.2
_has_own_gradient = contextvars.ContextVar("_has_own_gradient", default=True)


def fir_filter(
    feature_maps: KerasTensor,
    gain: float = 1.0,
    stride: int = 1,
    taps: Sequence[float] = FIR_TAPS,
) -> KerasTensor:
    """Low-pass filter every channel with the binomial [1, 3, 3, 1] x [1, 3, 3, 1] / 64, or others.

    Zero 'SAME' padding adds one row and column before the feature maps and two after them, or one
    after them with stride 2 or with three taps.

    Input: (batch, height, width, channels). Output: the same, height and width divided by `stride`.
    """
    is_bfloat16 = keras.backend.standardize_dtype(feature_maps.dtype) == "bfloat16"
    if stride == 2 and len(taps) == 4 and is_bfloat16 and _has_own_gradient.get():
        return _fir_filter_down(feature_maps, gain, taps)
    return _fir_filter(feature_maps, gain, stride, taps)


def _fir_filter(
    feature_maps: KerasTensor, gain: float, stride: int = 1, taps: Sequence[float] = FIR_TAPS
) -> KerasTensor:
    kernel = np.outer(taps, taps) * gain / sum(taps) ** 2  # (taps, taps)
    kernel = np.repeat(kernel[:, :, None, None], feature_maps.shape[-1], axis=2)
    kernel = ops.convert_to_tensor(kernel, dtype=feature_maps.dtype)  # (taps, taps, channels, 1)
    return ops.depthwise_conv(
        feature_maps, kernel, strides=stride, padding="same", data_format=CHANNELS_LAST
    )


def _fir_filter_down(feature_maps: KerasTensor, gain: float, taps: Sequence[float]) -> KerasTensor:
    """`_fir_filter` with stride 2, whose gradient is `_fir_filter` with zeros between its inputs.

    In bfloat16 on CPUs, TensorFlow's own gradient takes ten times as long and more.
    """

    @ops.custom_gradient
    def filter_down(feature_maps: KerasTensor) -> tuple[KerasTensor, Callable]:
        def gradient(upstream: KerasTensor) -> KerasTensor:
            return _fir_filter(insert_zeros(upstream, before=1, after=0), gain, taps=taps)

        return _fir_filter(feature_maps, gain, 2, taps), gradient

    return filter_down(feature_maps)


def insert_zeros(feature_maps: KerasTensor, before: int, after: int) -> KerasTensor:
    """Insert rows of zeros before and after each row, and columns before and after each column.

    Input: (batch, height, width, channels). Output: (batch, n * height, n * width, channels), with
    n = 1 + before + after.
    """
    _, height, width, channels = feature_maps.shape
    cells = ops.reshape(feature_maps, (-1, height, 1, width, 1, channels))
    zeros = (before, after)
    cells = ops.pad(cells, ((0, 0), (0, 0), zeros, (0, 0), zeros, (0, 0)))
    times = 1 + before + after
    # (batch, height, times, width, times, channels)
    return ops.reshape(cells, (-1, times * height, times * width, channels))


def _convolve_with_stride(
    feature_maps: KerasTensor, kernel: KerasTensor, stride: int
) -> KerasTensor:
    return ops.conv(feature_maps, kernel, strides=stride, padding="same", data_format=CHANNELS_LAST)


@contextlib.contextmanager
def with_builtin_gradients() -> Iterator[None]:
    """Within, `convolve` and `fir_filter` leave their gradients to TensorFlow.

    A SavedModel cannot hold a custom gradient whose own gradient is custom too.
    """
    token = _has_own_gradient.set(False)
    try:
        yield
    finally:
        _has_own_gradient.reset(token)


def convolve(feature_maps: KerasTensor, kernel: KerasTensor) -> KerasTensor:
    """Convolve with stride 1 and zero 'SAME' padding.

    The gradient with respect to the feature maps is `convolve` with the kernel rotated by 180
    degrees. TensorFlow's own takes up to twice as long on CPUs where TensorFlow does not use
    oneDNN. The gradient with respect to the kernel is TensorFlow's; it cannot be differentiated
    again with respect to the feature maps.

    Input: (batch, height, width, in) and kernel (size, size, in, out), `size` odd.
    Output: (batch, height, width, out).
    """
    if not _has_own_gradient.get():
        return _convolve_with_stride(feature_maps, kernel, stride=1)
    outputs = _convolve_with_stride(ops.stop_gradient(feature_maps), kernel, stride=1)
    return _attach_gradient_of_input(outputs, feature_maps, kernel)


@ops.custom_gradient
def _attach_gradient_of_input(
    outputs: KerasTensor, feature_maps: KerasTensor, kernel: KerasTensor
) -> tuple[KerasTensor, Callable]:
    """Return `outputs` as they are, and their gradient with respect to the feature maps."""

    def gradient(upstream: KerasTensor) -> tuple[KerasTensor, KerasTensor, None]:
        rotated = ops.flip(kernel, axis=(0, 1))
        rotated = ops.transpose(rotated, (0, 1, 3, 2))  # (size, size, out, in)
        return upstream, convolve(upstream, rotated), None

    return outputs, gradient


@ops.custom_gradient
def add_bias(feature_maps: KerasTensor, bias: KerasTensor) -> tuple[KerasTensor, Callable]:
    """Add a value to each channel.

    The gradient with respect to the bias, a sum, is computed as a matrix product, in a third of the
    time of TensorFlow's sum.

    Input: (..., channels) and (channels,). Output: as the first input.
    """

    def gradient(upstream: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
        rows = ops.reshape(upstream, (-1, bias.shape[0]))  # (n, channels)
        ones = ops.ones((1, ops.shape(rows)[0]), upstream.dtype)
        return upstream, ops.matmul(ones, rows)[0]

    return feature_maps + bias, gradient


@ops.custom_gradient
def leaky_relu(inputs: KerasTensor) -> tuple[KerasTensor, Callable]:
    """Leaky ReLU with slope 0.2, whose gradient depends on the signs of its outputs.

    A gradient of this gradient does not flow through the signs: they do not change with the inputs.
    TensorFlow's own sends zeros through all layers before.
    """
    outputs = ops.leaky_relu(inputs, LEAKY_SLOPE)
    # A product takes half the time of a choice between two tensors, in each gradient.
    slopes = ops.stop_gradient(ops.maximum(ops.sign(outputs), LEAKY_SLOPE))

    def gradient(upstream: KerasTensor) -> KerasTensor:
        return slopes * upstream

    return outputs, gradient


def scaled_leaky_relu(inputs: KerasTensor) -> KerasTensor:
    """Leaky ReLU with slope 0.2, times sqrt(2): it keeps the mean square (StyleGAN2 and 3)."""
    return leaky_relu(inputs) * math.sqrt(2.0)


def mean_of_batch(values: KerasTensor, axes: tuple[int, ...], replicas: int) -> KerasTensor:
    """The mean over some axes of a batch, of which each of `replicas` may hold a part."""
    if replicas == 1:
        return ops.mean(values, axes)
    return ops.moments(values, axes, synchronized=True)[0]


def convolve_down(feature_maps: KerasTensor, kernel: KerasTensor) -> KerasTensor:
    """Low-pass filter, then convolve with stride 2.

    Input: (batch, height, width, in) and kernel (size, size, in, out).
    Output: (batch, height / 2, width / 2, out).
    """
    if kernel.shape[0] == 1:
        # A 1x1 convolution can leave the stride to the filter: the same function for a quarter of
        # the work. It also has to: TensorFlow's oneDNN gradient of a strided 1x1 convolution
        # corrupts memory.
        return convolve(fir_filter(feature_maps, stride=2), kernel)
    return _convolve_with_stride(fir_filter(feature_maps), kernel, stride=2)


def convolve_up(feature_maps: KerasTensor, kernel: KerasTensor) -> KerasTensor:
    """Transposed convolution with stride 2, then low-pass filter.

    Input: (batch, height, width, in) and kernel (size, size, out, in).
    Output: (batch, 2 * height, 2 * width, out).
    """
    doubled = ops.conv_transpose(
        feature_maps, kernel, strides=2, padding="same", data_format=CHANNELS_LAST
    )  # (batch, 2 * height, 2 * width, out)
    return fir_filter(doubled, gain=4.0)
