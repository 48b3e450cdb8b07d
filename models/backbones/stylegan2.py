"""StyleGAN2 (Karras et al. 2020), configurations E and F, with the encoder inside D.

See `build_networks`. Its generator has skip connections to RGB (figure 7b), its discriminator is
residual (figure 7c). All layers keep the mean square: weights have gain 1, leaky ReLUs sqrt(2).
"""

import math
from functools import partial
from typing import Any, Literal

import keras
import numpy as np
from keras import KerasTensor, ops

from config.backbones.stylegan import StyleGan2Config
from models.backbones.dlsgan_later import ResampleImage
from models.backbones.heads import FIRST_SIZE, build_heads
from models.backbones.styles import Noise, StyleNetworks, build_mapper
from models.filtering import resample
from models.layers import EqualizedConv2D, EqualizedDense, EqualizedLayer, LearnedConstant, Shape
from models.operations import CHANNELS_LAST, FIR_TAPS, convolve

_LEAST_SQUARE = 1e-8
_TAPS = np.array(FIR_TAPS) / sum(FIR_TAPS)
_LEAKY: dict[str, Any] = {"activation": "scaled_leaky_relu", "gain": 1.0}


def demodulate(style: KerasTensor, kernel: KerasTensor, channels_axis: int = 2) -> KerasTensor:
    """What brings the outputs of a convolution back to unit variance: d (batch, out).

    `1 / sqrt(sum over rows, columns and inputs of (style * kernel)^2 + 1e-8)` (equation 3).

    Input: style (batch, in), and kernel (size, size, in, out), or (size, size, out, in) with
    `channels_axis` 3.
    """
    squares = ops.sum(ops.square(kernel), axis=(0, 1))  # (in, out)
    if channels_axis == 3:
        squares = ops.transpose(squares)
    return ops.rsqrt(ops.matmul(ops.square(style), squares) + _LEAST_SQUARE)


@keras.saving.register_keras_serializable(package="dlsgan")
class DemodulatedConv2D(EqualizedLayer):
    """Convolution whose kernel is scaled by a style for each sample, then demodulated.

    `activation(conv(x * s, kernel) * d + noise + bias)` with `s = EqualizedDense(style)`, whose
    bias starts at 1, and d of `demodulate`. The equalized learning rate's factor cancels out in d;
    without `demodulation`, d is 1 and the factor stays. With `upsample` the convolution is
    transposed with stride 2, and a low-pass filter follows it.

    Under a mixed dtype policy the style and everything after the convolution is float32.

    Input: (batch, height, width, in) and style (batch, style_units).
    Output: (batch, height, width, filters); with `upsample`, twice the height and width.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        upsample: bool = False,
        demodulation: bool = True,
        noise: Literal["none", "fixed", "random"] = "none",
        gain: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(gain=gain, **kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.upsample = upsample
        self.demodulation = demodulation
        self.noise = noise

    def build(self, feature_maps_shape: Shape, style_shape: Shape) -> None:
        size, channels = self.kernel_size, feature_maps_shape[-1]
        # A transposed convolution has its output channels before its input channels.
        ends = (self.filters, channels) if self.upsample else (channels, self.filters)
        self.add_weights((size, size, *ends), size**2 * channels, bias_size=self.filters)
        self.style = EqualizedDense(
            channels, gain=1.0, initial_bias=1.0, dtype="float32", name="style"
        )
        self.style.build(style_shape)
        self.add_noise = None
        if self.noise != "none":
            self.add_noise = Noise(self.noise == "random", dtype="float32", name="noise")
            self.add_noise.build(self.compute_output_shape(feature_maps_shape, style_shape))

    def call(
        self, feature_maps: KerasTensor, style: KerasTensor, training: bool = False
    ) -> KerasTensor:
        style = self.style(style)  # (batch, in)
        scale = ops.cast(style, self.compute_dtype)[:, None, None, :]  # (batch, 1, 1, in)
        outputs = self._convolve(feature_maps * scale)  # (batch, height, width, filters), float32
        if self.demodulation:
            # In units of the scaled kernel, which mixed precision needs.
            factor = demodulate(style, self.kernel, 3 if self.upsample else 2) / self.multiplier
            outputs *= factor[:, None, None, :]
        if self.add_noise:
            outputs = self.add_noise(outputs, training=training)
        return ops.cast(self.activate(outputs), self.compute_dtype)

    def _convolve(self, feature_maps: KerasTensor) -> KerasTensor:
        kernel = self.scaled_kernel()
        if not self.upsample:
            return ops.cast(convolve(feature_maps, kernel), "float32")
        doubled = ops.conv_transpose(
            feature_maps, kernel, strides=2, padding="valid", data_format=CHANNELS_LAST
        )  # (batch, 2 * height + 1, 2 * width + 1, filters)
        return resample(ops.cast(doubled, "float32"), 2.0 * _TAPS, padding=(1, 1))

    def compute_output_shape(self, feature_maps_shape: Shape, style_shape: Shape) -> Shape:
        batch, height, width, _ = feature_maps_shape
        times = 2 if self.upsample else 1
        return (batch, times * height, times * width, self.filters)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "upsample": self.upsample,
            "demodulation": self.demodulation,
            "noise": self.noise,
        }


@keras.saving.register_keras_serializable(package="dlsgan")
class FilteredDownConv2D(EqualizedLayer):
    """Low-pass filter, then a 3x3 convolution with stride 2, both padded alike on all sides.

    Input: (batch, height, width, in). Output: (batch, height / 2, width / 2, filters).
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        self.add_weights((3, 3, channels, self.filters), 9 * channels, bias_size=self.filters)

    def call(self, feature_maps: KerasTensor) -> KerasTensor:
        filtered = resample(feature_maps, _TAPS, padding=(2, 2))  # (batch, height + 1, ...)
        outputs = ops.conv(
            filtered,
            self.scaled_kernel(),
            strides=2,
            padding="valid",
            data_format=CHANNELS_LAST,
        )
        return self.activate(outputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, _ = input_shape
        return (batch, height // 2, width // 2, self.filters)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"filters": self.filters}


def build_networks(
    latent_dim: int,
    resolution: int,
    model: StyleGan2Config,
    log_variance: bool = False,
    dtype: str = "float32",
) -> StyleNetworks:
    """Mapping network, generator with skip connections, and residual discriminator.

    `dtype` is the Keras dtype policy of the feature maps. Images are neither squashed nor clipped.
    """
    num_ws = 2 * (resolution.bit_length() - 1) - 2
    mapper = build_mapper(latent_dim, num_ws, model)
    synthesis = build_synthesis(num_ws, resolution, model, dtype)
    discriminator = build_discriminator(latent_dim, resolution, model, log_variance, dtype)
    return StyleNetworks(mapper, synthesis, discriminator)


def build_synthesis(
    num_ws: int, resolution: int, model: StyleGan2Config, dtype: str = "float32"
) -> keras.Model:
    """From styles (batch, num_ws, style_units) to images (batch, resolution, resolution, 3)."""
    styles = keras.Input((num_ws, model.style_units), name="styles")
    convolution = partial(
        DemodulatedConv2D, kernel_size=3, noise=model.noise, dtype=dtype, **_LEAKY
    )
    to_rgb = partial(DemodulatedConv2D, 3, 1, demodulation=False, dtype="float32")

    size, channels = FIRST_SIZE, model.channels(FIRST_SIZE)
    feature_maps = LearnedConstant(size, channels, dtype=dtype, name="constant")(styles)
    feature_maps = convolution(channels, name=f"{size}_conv")(feature_maps, styles[:, 0])
    images = to_rgb(name=f"{size}_to_rgb")(feature_maps, styles[:, 1])
    for index in range(1, num_ws - 1, 2):
        size *= 2
        up, plain, rgb = (styles[:, index + offset] for offset in range(3))
        filters = model.channels(size)
        feature_maps = convolution(filters, upsample=True, name=f"{size}_up")(feature_maps, up)
        feature_maps = convolution(filters, name=f"{size}_conv")(feature_maps, plain)
        skip = ResampleImage(True, dtype="float32", name=f"{size}_upsample")(images)
        # The first convolution of the next size takes the same style.
        images = to_rgb(name=f"{size}_to_rgb")(feature_maps, rgb)
        images = keras.layers.Add(dtype="float32", name=f"{size}_add")([skip, images])
    return keras.Model(styles, images, name="synthesis")


def build_discriminator(
    latent_dim: int,
    resolution: int,
    model: StyleGan2Config,
    log_variance: bool = False,
    dtype: str = "float32",
) -> keras.Model:
    """The residual discriminator with the encoder inside; StyleGAN3 has it too.

    Input: RGB images (batch, resolution, resolution, 3).
    Output: adversarial values (batch,), recovered latents (batch, latent_dim) and, with
    `log_variance`, the logarithms of the variances of their errors (batch, latent_dim).
    """
    images = keras.Input((resolution, resolution, 3), name="images")
    convolution = partial(EqualizedConv2D, dtype=dtype, **_LEAKY)
    feature_maps = convolution(model.channels(resolution), 1, name="from_rgb")(images)
    size = resolution
    while size > FIRST_SIZE:
        filters = model.channels(size // 2)
        skip = EqualizedConv2D(
            filters,
            1,
            downsample=True,
            use_bias=False,
            gain=1.0,
            dtype=dtype,
            name=f"{size}_skip",
        )(feature_maps)
        main = convolution(model.channels(size), 3, name=f"{size}_conv")(feature_maps)
        main = FilteredDownConv2D(filters, dtype=dtype, name=f"{size}_down", **_LEAKY)(main)
        total = keras.layers.Add(dtype=dtype, name=f"{size}_add")([main, skip])
        rescale = keras.layers.Rescaling(math.sqrt(0.5), dtype=dtype, name=f"{size}_rescale")
        feature_maps = rescale(total)
        size //= 2
    leaky = _LEAKY | {"dtype": dtype}
    heads = build_heads(latent_dim, model.channels(FIRST_SIZE), model, log_variance, leaky)
    return keras.Model(images, heads(feature_maps), name="discriminator")
