"""The discriminator with the encoder inside: from an image to its realness and its latent.

See `build_discriminator`. The architecture is StyleGAN2's residual discriminator (Karras et al.
2020, figure 7c) without minibatch standard deviation, so that one image has one latent (paper,
section 4.1).
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor

from models.layers import EqualizedConv2D, EqualizedDense

LAST_SIZE = 4


def build_discriminator(
    latent_dim: int,
    style_units: int,
    base_channels: int,
    channels: Sequence[int],
    gain: float = 2.0,
    dtype: str = "float32",
) -> keras.Model:
    """One halving residual block for each entry of `channels`, then two linear heads.

    `dtype` is the Keras dtype policy of the feature maps; everything after them is float32.

    Input: RGB images (batch, resolution, resolution, 3), resolution = 4 * 2 ** len(channels).
    Output: adversarial values (batch,) and recovered latents (batch, latent_dim).
    """
    resolution = LAST_SIZE * 2 ** len(channels)
    images = keras.Input((resolution, resolution, 3), name="images")

    def convolution(filters: int, kernel_size: int, name: str, **options: Any) -> EqualizedConv2D:
        options = {"activation": "leaky_relu", "gain": gain, "dtype": dtype} | options
        return EqualizedConv2D(filters, kernel_size, name=name, **options)

    def residual_block(feature_maps: KerasTensor, size: int, filters: int) -> KerasTensor:
        out_filters = min(2 * filters, base_channels)
        skip = convolution(
            out_filters, 1, f"{size}_skip", downsample=True, activation="linear", use_bias=False
        )
        main = convolution(filters, 3, f"{size}_conv")(feature_maps)
        main = convolution(out_filters, 3, f"{size}_down", downsample=True)(main)
        total = keras.layers.Add(dtype=dtype, name=f"{size}_add")([main, skip(feature_maps)])
        return keras.layers.Rescaling(1 / math.sqrt(2), dtype=dtype, name=f"{size}_rescale")(total)

    def dense(units: int, name: str, **options: Any) -> EqualizedDense:
        return EqualizedDense(units, gain=gain, dtype="float32", name=name, **options)

    feature_maps = convolution(channels[0], 1, "from_rgb")(images)
    for block, filters in enumerate(channels):
        feature_maps = residual_block(feature_maps, resolution // 2**block, filters)
    feature_maps = convolution(base_channels, 3, f"{LAST_SIZE}_conv")(feature_maps)

    flatten = keras.layers.Flatten(dtype="float32", name="flatten")
    features = flatten(feature_maps)  # (batch, 4 * 4 * base_channels)
    features = dense(style_units, "dense", activation="leaky_relu")(features)
    adversarial = dense(1, "adversarial")(features)  # (batch, 1)
    adversarial = keras.layers.Reshape((), dtype="float32", name="adversarial_values")(adversarial)
    latents = dense(latent_dim, "latent")(features)
    return keras.Model(images, (adversarial, latents), name="discriminator")
