"""Convolutions that double or halve height and width. See `Resample2x`."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, ops

from models.layers import EqualizedLayer, Shape
from models.operations import CHANNELS_LAST, FIR_TAPS, fir_filter


@keras.saving.register_keras_serializable(package="dlsgan")
class Resample2x(EqualizedLayer):
    """A 3x3 convolution that doubles or halves height and width, with a low-pass filter.

    The sum of the kernel, shifted by 0 and 1 along each axis, is a 4x4 kernel: to double, for a
    transposed convolution with stride 2, before the filter; to halve, divided by 4, for a
    convolution with stride 2, after the filter (Karras et al. 2018, `Conv0_up`, `Conv1_down`). So
    the nearest neighbour comes before the convolution with the kernel rotated by 180 degrees, or
    the mean of 2x2 pixels after the convolution.

    `taps` are the filter's in one direction; without taps there is no filter.

    Input: (batch, height, width, in). Output: (batch, 2 * height, 2 * width, filters) with
    `upsample`, otherwise half the height and width.
    """

    def __init__(
        self,
        filters: int,
        upsample: bool,
        taps: Sequence[float] | None = FIR_TAPS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.upsample, self.taps = filters, upsample, taps

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        ends = (self.filters, channels) if self.upsample else (channels, self.filters)
        self.add_weights((3, 3, *ends), 9 * channels, bias_size=self.filters)

    def call(self, feature_maps: KerasTensor) -> KerasTensor:
        padded = ops.pad(self.scaled_kernel(), ((1, 1), (1, 1), (0, 0), (0, 0)))  # (5, 5, ...)
        kernel = padded[1:, 1:] + padded[1:, :-1] + padded[:-1, 1:] + padded[:-1, :-1]
        options = {"strides": 2, "padding": "same", "data_format": CHANNELS_LAST}
        if self.upsample:
            outputs = self._filter(ops.conv_transpose(feature_maps, kernel, **options))
        else:
            outputs = ops.conv(self._filter(feature_maps), kernel / 4.0, **options)
        return self.activate(outputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, _ = input_shape
        if self.upsample:
            return (batch, 2 * height, 2 * width, self.filters)
        return (batch, height // 2, width // 2, self.filters)

    def _filter(self, feature_maps: KerasTensor) -> KerasTensor:
        return fir_filter(feature_maps, taps=self.taps) if self.taps else feature_maps

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "filters": self.filters,
            "upsample": self.upsample,
            "taps": self.taps,
        }
