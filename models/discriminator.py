"""The discriminator with the encoder inside: from an image to its realness and its latent.

See `build_discriminator`. The architecture is StyleGAN2's residual discriminator (Karras et al.
2020, figure 7c) without minibatch standard deviation, so that one image has one latent (paper,
section 4.1).
"""

import math
from collections.abc import Sequence
from functools import partial

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
    log_variance: bool = False,
) -> keras.Model:
    """One halving residual block for each entry of `channels`, then linear heads.

    `dtype` is the Keras dtype policy of the feature maps; everything after them is float32.

    Input: RGB images (batch, resolution, resolution, 3), resolution = 4 * 2 ** len(channels).
    Output: adversarial values (batch,), recovered latents (batch, latent_dim) and, with
    `log_variance`, the logarithms of the variances of their errors (batch, latent_dim).
    """
    resolution = LAST_SIZE * 2 ** len(channels)
    images = keras.Input((resolution, resolution, 3), name="images")

    convolution = partial(EqualizedConv2D, activation="leaky_relu", gain=gain, dtype=dtype)

    def residual_block(feature_maps: KerasTensor, size: int, filters: int) -> KerasTensor:
        out_filters = min(2 * filters, base_channels)
        linear = {"activation": "linear", "use_bias": False}
        skip = convolution(out_filters, 1, downsample=True, name=f"{size}_skip", **linear)
        main = convolution(filters, 3, name=f"{size}_conv")(feature_maps)
        main = convolution(out_filters, 3, downsample=True, name=f"{size}_down")(main)
        total = keras.layers.Add(dtype=dtype, name=f"{size}_add")([main, skip(feature_maps)])
        return keras.layers.Rescaling(1 / math.sqrt(2), dtype=dtype, name=f"{size}_rescale")(total)

    feature_maps = convolution(channels[0], 1, name="from_rgb")(images)
    for block, filters in enumerate(channels):
        feature_maps = residual_block(feature_maps, resolution // 2**block, filters)
    feature_maps = convolution(base_channels, 3, name=f"{LAST_SIZE}_conv")(feature_maps)
    outputs = add_heads(feature_maps, style_units, latent_dim, gain, log_variance)
    return keras.Model(images, outputs, name="discriminator")


def add_heads(
    feature_maps: KerasTensor, units: int, latent_dim: int, gain: float, log_variance: bool
) -> tuple[KerasTensor, ...]:
    """A dense layer and the linear heads of discriminator and encoder, in float32.

    Input: the last feature maps (batch, height, width, channels). Output: as `build_discriminator`.
    """
    dense = partial(EqualizedDense, gain=gain, dtype="float32")
    features = keras.layers.Flatten(dtype="float32", name="flatten")(feature_maps)  # (batch, n)
    features = dense(units, activation="leaky_relu", name="dense")(features)
    adversarial = dense(1, name="adversarial")(features)  # (batch, 1)
    adversarial = keras.layers.Reshape((), dtype="float32", name="adversarial_values")(adversarial)
    outputs = [adversarial, dense(latent_dim, name="latent")(features)]
    if log_variance:
        outputs.append(dense(latent_dim, name="log_variance")(features))
    return tuple(outputs)
