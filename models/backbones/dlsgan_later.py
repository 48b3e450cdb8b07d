"""The networks of the authors' later code (github.com/jeongik-jo/DLSGAN, March 2024).

See `build_networks`. They are simpler than the paper's: no styles, a generator that is a dense part
and a convolutional part, skip connections from and to images at each size. All layers have
`gain / sqrt(fan_in)` as the paper's; the authors' gain here is 1.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
from keras import KerasTensor, ops

from config.backbones import DlsganLaterConfig
from models.discriminator import add_heads
from models.layers import EqualizedConv2D, EqualizedDense, EqualizedLayer, Shape
from models.networks import Networks
from models.operations import CHANNELS_LAST, add_bias, fir_filter, insert_zeros, leaky_relu

_FIRST_SIZE = 4


@keras.saving.register_keras_serializable(package="dlsgan")
class Resample2x(EqualizedLayer):
    """A 3x3 convolution that doubles or halves height and width, with a low-pass filter.

    The sum of the kernel, shifted by 0 and 1 along each axis, is a 4x4 kernel: to double, for a
    transposed convolution with stride 2, before the filter; to halve, divided by 4, for a
    convolution with stride 2, after the filter (Karras et al. 2018, `Conv0_up`, `Conv1_down`).

    Input: (batch, height, width, in). Output: (batch, 2 * height, 2 * width, filters) with
    `upsample`, otherwise half the height and width.
    """

    def __init__(self, filters: int, upsample: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters, self.upsample = filters, upsample

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        ends = (self.filters, channels) if self.upsample else (channels, self.filters)
        self.add_weights((3, 3, *ends), 9 * channels, bias_size=self.filters)

    def call(self, feature_maps: KerasTensor) -> KerasTensor:
        padded = ops.pad(self.scaled_kernel(), ((1, 1), (1, 1), (0, 0), (0, 0)))  # (5, 5, ...)
        kernel = padded[1:, 1:] + padded[1:, :-1] + padded[:-1, 1:] + padded[:-1, :-1]
        options = {"strides": 2, "padding": "same", "data_format": CHANNELS_LAST}
        if self.upsample:
            outputs = fir_filter(ops.conv_transpose(feature_maps, kernel, **options))
        else:
            outputs = ops.conv(fir_filter(feature_maps), kernel / 4.0, **options)
        return self.activate(outputs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"filters": self.filters, "upsample": self.upsample}


@keras.saving.register_keras_serializable(package="dlsgan")
class Bias(keras.layers.Layer):
    """Add a trained value to each channel, then take the leaky ReLU with `leaky`.

    Input and output: (..., channels).
    """

    def __init__(self, leaky: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.leaky = leaky

    def build(self, input_shape: Shape) -> None:
        self.bias = self.add_weight(
            shape=(input_shape[-1],), initializer="zeros", autocast=False, name="bias"
        )

    def call(self, inputs: KerasTensor) -> KerasTensor:
        outputs = add_bias(inputs, ops.cast(self.bias, inputs.dtype))
        return leaky_relu(outputs) if self.leaky else outputs

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"leaky": self.leaky}


@keras.saving.register_keras_serializable(package="dlsgan")
class ResampleImage(keras.layers.Layer):
    """Double or halve an image's height and width with a low-pass filter.

    To double, a zero comes before each row and column, where the paper's code has it after.

    Input: (batch, height, width, channels). Output: with `upsample` twice, otherwise half of both.
    """

    def __init__(self, upsample: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.upsample = upsample

    def call(self, images: KerasTensor) -> KerasTensor:
        if self.upsample:
            return fir_filter(insert_zeros(images, before=1, after=0), gain=4.0)
        return fir_filter(images, stride=2)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"upsample": self.upsample}


def build_networks(
    latent_dim: int,
    resolution: int,
    model: DlsganLaterConfig,
    log_variance: bool = False,
    dtype: str = "float32",
) -> Networks:
    """The generator in its two parts, and the discriminator with the encoder inside.

    The mapper ends with features (batch, 4 * 4 * base_channels). Interfaces are otherwise as those
    of the paper's networks.
    """
    gain, channels = model.gain, model.base_channels
    leaky = partial(EqualizedDense, activation="leaky_relu", gain=gain, dtype="float32")
    latents = features = keras.Input((latent_dim,), name="scaled_latents")
    for index in range(model.mapper_layers):
        features = leaky(model.style_units, name=f"dense_{index}")(features)
    size = _FIRST_SIZE * _FIRST_SIZE * channels
    features = leaky(size, name=f"dense_{model.mapper_layers}")(features)
    mapper = keras.Model(latents, features, name="mapper")
    synthesis = _build_synthesis(channels, model.synthesis_channels, gain, dtype)

    images = keras.Input((resolution, resolution, 3), name="images")
    feature_maps = _extract_features(images, model.discriminator_channels, gain, dtype)
    outputs = add_heads(feature_maps, model.style_units, latent_dim, gain, log_variance)
    return Networks(mapper, synthesis, keras.Model(images, outputs, name="discriminator"))


def _build_synthesis(
    base_channels: int, channels: Sequence[int], gain: float, dtype: str
) -> keras.Model:
    """From features (batch, 4 * 4 * base_channels) to images (batch, height, width, 3)."""
    convolution = partial(EqualizedConv2D, kernel_size=3, activation="leaky_relu", gain=gain)
    to_rgb = partial(EqualizedConv2D, 3, 1, use_bias=False, gain=gain, dtype="float32")
    size = _FIRST_SIZE
    features = keras.Input((size * size * base_channels,), name="features")
    feature_maps = keras.layers.Reshape((size, size, base_channels), dtype=dtype)(features)
    images = to_rgb(name=f"{size}_to_rgb")(feature_maps)
    for filters in channels:
        size *= 2
        up = Resample2x(
            filters, True, activation="leaky_relu", gain=gain, dtype=dtype, name=f"{size}_up"
        )
        feature_maps = up(feature_maps)
        feature_maps = convolution(filters, dtype=dtype, name=f"{size}_conv")(feature_maps)
        skip = ResampleImage(True, dtype="float32", name=f"{size}_upsample")(images)
        rgb = to_rgb(name=f"{size}_to_rgb")(feature_maps)
        images = keras.layers.Add(dtype="float32", name=f"{size}_add")([skip, rgb])
    return keras.Model(features, Bias(dtype="float32", name="colour")(images), name="synthesis")


def _extract_features(
    images: KerasTensor, channels: Sequence[int], gain: float, dtype: str
) -> KerasTensor:
    """The discriminator's last feature maps (batch, 4, 4, channels[-1])."""
    convolution = partial(EqualizedConv2D, gain=gain, dtype=dtype)
    feature_maps = convolution(channels[0], 1, activation="leaky_relu", name="from_rgb")(images)
    size = _FIRST_SIZE * 2 ** len(channels)
    for filters in channels:
        images = ResampleImage(False, dtype="float32", name=f"{size}_image")(images)
        skip = convolution(filters, 1, use_bias=False, name=f"{size}_skip")(images)
        main = convolution(filters, 3, activation="leaky_relu", name=f"{size}_conv")(feature_maps)
        main = Resample2x(
            filters, False, use_bias=False, gain=gain, dtype=dtype, name=f"{size}_down"
        )(main)
        total = keras.layers.Add(dtype=dtype, name=f"{size}_add")([main, skip])
        total = keras.layers.Rescaling(2**-0.5, dtype=dtype, name=f"{size}_rescale")(total)
        feature_maps = Bias(True, dtype=dtype, name=f"{size}_bias")(total)
        size //= 2
    return feature_maps
