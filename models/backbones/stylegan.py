"""StyleGAN (Karras et al. 2019; github.com/NVlabs/stylegan), with the encoder inside D.

See `build_networks`. Kernels have He's gain sqrt(2), those of styles and RGB 1. Weights are in
layouts of our own. The authors' kernels of convolutions that double the size fit with their
channels exchanged, and below 128 pixels rotated by 180 degrees too; their dense kernel at 4x4
counts channels before pixels.
"""

from functools import partial
from typing import Any

import keras
from keras import KerasTensor, ops

from config.backbones.stylegan import StyleGanConfig
from models.backbones.growing_discriminator import build_discriminator
from models.backbones.growth import GAIN, GrowingNetworks, LevelOfDetail, fade_images
from models.backbones.heads import FIRST_SIZE
from models.backbones.styles import Noise, StyleNetworks, build_mapper
from models.layers import Bias, EqualizedConv2D, EqualizedDense, LearnedConstant, Shape
from models.resampling import Resample2x

_EPSILON = 1e-8
_TAPS = (1.0, 2.0, 1.0)


class StyleGanNetworks(GrowingNetworks, StyleNetworks):
    """Networks with styles that grow."""


@keras.saving.register_keras_serializable(package="dlsgan")
class AdaptiveInstanceNorm(keras.layers.Layer):
    """Standardise each channel of an image, then scale and shift it by a style (equation 1).

    `(x - mean) / sqrt(variance + 1e-8) * (scale + 1) + shift` over height and width;
    `scale, shift = EqualizedDense(style)`. In float32 under every dtype policy.

    Input: (batch, height, width, channels) and style (batch, style_units). Output: as the first.
    """

    def build(self, feature_maps_shape: Shape, style_shape: Shape) -> None:
        channels = feature_maps_shape[-1]
        self.style = EqualizedDense(2 * channels, gain=1.0, dtype="float32", name="style")
        self.style.build(style_shape)

    def call(self, feature_maps: KerasTensor, style: KerasTensor) -> KerasTensor:
        scale, shift = ops.split(self.style(style)[:, None, None, :], 2, axis=-1)
        feature_maps = ops.cast(feature_maps, "float32")
        centred = feature_maps - ops.mean(feature_maps, axis=(1, 2), keepdims=True)
        variance = ops.mean(ops.square(centred), axis=(1, 2), keepdims=True)
        outputs = centred * ops.rsqrt(variance + _EPSILON) * (scale + 1.0) + shift
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, feature_maps_shape: Shape, style_shape: Shape) -> Shape:
        return feature_maps_shape


def build_networks(
    latent_dim: int,
    resolution: int,
    model: StyleGanConfig,
    log_variance: bool = False,
    dtype: str = "float32",
) -> StyleGanNetworks:
    """Mapping network, a generator with styles and a discriminator; the last two grow.

    `dtype` is the Keras dtype policy of the feature maps.
    """
    detail = LevelOfDetail(dtype="float32", name="lod")
    num_ws = 2 * (resolution.bit_length() - 1) - 2
    mapper = build_mapper(
        latent_dim, num_ws, model, "leaky_relu", detail=detail if model.grow else None
    )
    synthesis = _build_synthesis(num_ws, resolution, model, detail, dtype)
    discriminator = build_discriminator(
        latent_dim, resolution, model, detail, _TAPS, log_variance, dtype
    )
    return StyleGanNetworks(mapper, synthesis, discriminator)


def _build_synthesis(
    num_ws: int, resolution: int, model: StyleGanConfig, detail: LevelOfDetail, dtype: str
) -> keras.Model:
    """A constant and a convolution at 4x4, then two convolutions a size, each with its own style.

    Input: styles (batch, num_ws, style_units). Output: for each stage, that with all layers first,
    RGB images (batch, resolution, resolution, 3), neither squashed nor clipped.
    """
    styles = keras.Input((num_ws, model.style_units), name="styles")
    linear: dict[str, Any] = {"use_bias": False, "gain": GAIN, "dtype": dtype}
    to_rgb = partial(EqualizedConv2D, 3, 1, gain=1.0, dtype="float32")

    def finish(feature_maps: KerasTensor, name: str, index: int, dtype: str = dtype) -> KerasTensor:
        """What follows the constant and each convolution: noise, bias, leaky ReLU and style."""
        if model.noise != "none":
            noise = Noise(model.noise == "random", True, dtype=dtype, name=f"{name}_noise")
            feature_maps = noise(feature_maps)
        feature_maps = Bias(leaky=True, dtype=dtype, name=f"{name}_bias")(feature_maps)
        style = AdaptiveInstanceNorm(dtype=dtype, name=f"{name}_style")
        return style(feature_maps, styles[:, index])

    size, index, images = FIRST_SIZE, 0, []
    # While its channels are constant, their norm has a gradient that is too large for float16.
    constant = LearnedConstant(size, model.channels(size), "ones", dtype="float32", name="constant")
    feature_maps = finish(constant(styles), "constant", index, dtype="float32")
    while True:
        convolution = EqualizedConv2D(model.channels(size), 3, name=f"{size}_conv", **linear)
        feature_maps = finish(convolution(feature_maps), f"{size}_conv", index + 1)
        if model.grow or size == resolution:
            images.append(to_rgb(name=f"{size}_to_rgb")(feature_maps))
        if size == resolution:
            lod = detail(styles) if model.grow else None
            return keras.Model(styles, fade_images(images, lod), name="synthesis")
        size, index = 2 * size, index + 2
        up = Resample2x(model.channels(size), True, _TAPS, name=f"{size}_up", **linear)
        feature_maps = finish(up(feature_maps), f"{size}_up", index)
