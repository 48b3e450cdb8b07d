"""The networks of the authors' later code (github.com/jeongik-jo/DLSGAN, March 2024).

See `build_networks`. They are simpler than the paper's: no styles, a generator that is a dense part
and a convolutional part, skip connections from and to images at each size. All layers have
`gain / sqrt(fan_in)` as the paper's; the authors' gain here is 1.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
from keras import KerasTensor

from config.backbones.dlsgan import DlsganLaterConfig
from models.discriminator import add_heads
from models.layers import Bias, EqualizedConv2D, EqualizedDense, Shape
from models.networks import Networks
from models.operations import fir_filter, insert_zeros
from models.resampling import Resample2x

_FIRST_SIZE = 4


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

    def compute_output_shape(self, images_shape: Shape) -> Shape:
        batch, height, width, channels = images_shape
        if self.upsample:
            return (batch, 2 * height, 2 * width, channels)
        return (batch, height // 2, width // 2, channels)

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
