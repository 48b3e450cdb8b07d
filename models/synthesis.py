"""The synthesis network: the second half of the generator, from a style to an image.

See `build_synthesis`. The architecture is StyleGAN2's with skip connections to RGB (Karras et al.
2020, figure 7b), without noise inputs (paper, section 4.1), truncation or style mixing.
"""

from collections.abc import Sequence
from functools import partial

import keras

from models.layers import LearnedConstant, ModulatedConv2D, UpsampleImage

FIRST_SIZE = 4


def build_synthesis(
    style_units: int,
    base_channels: int,
    channels: Sequence[int],
    gain: float = 2.0,
    dtype: str = "float32",
) -> keras.Model:
    """A 4x4 constant of `base_channels`, then one doubling block for each entry of `channels`.

    `dtype` is the Keras dtype policy of the feature maps; images are float32.

    Input: styles (batch, style_units).
    Output: RGB images (batch, resolution, resolution, 3), neither squashed nor clipped, with
    resolution = 4 * 2 ** len(channels).
    """
    style = keras.Input((style_units,), name="style")

    modulated = partial(
        ModulatedConv2D, kernel_size=3, activation="leaky_relu", gain=gain, dtype=dtype
    )
    to_rgb = partial(ModulatedConv2D, 3, 1, activation="linear", gain=gain, dtype="float32")

    size = FIRST_SIZE
    feature_maps = LearnedConstant(size, base_channels, dtype=dtype, name="constant")(style)
    feature_maps = modulated(base_channels, name=f"{size}_conv")(feature_maps, style)
    images = to_rgb(name=f"{size}_to_rgb")(feature_maps, style)  # (batch, 4, 4, 3)
    for filters in channels:
        size *= 2
        feature_maps = modulated(filters, upsample=True, name=f"{size}_up")(feature_maps, style)
        feature_maps = modulated(filters, name=f"{size}_conv")(feature_maps, style)
        skip = UpsampleImage(dtype="float32", name=f"{size}_upsample")(images)
        rgb = to_rgb(name=f"{size}_to_rgb")(feature_maps, style)  # (batch, size, size, 3)
        images = keras.layers.Add(dtype="float32", name=f"{size}_add")([skip, rgb])
    return keras.Model(style, images, name="synthesis")
