"""The synthesis network: the second half of the generator, from a style to an image.

See `build_synthesis`. The architecture is StyleGAN2's with skip connections to RGB (Karras et al.
2020, figure 7b), without noise inputs (paper, section 4.1), truncation or style mixing.
"""

from collections.abc import Sequence

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

    def modulated(filters: int, name: str, upsample: bool = False) -> ModulatedConv2D:
        return ModulatedConv2D(
            filters,
            3,
            upsample=upsample,
            activation="leaky_relu",
            gain=gain,
            dtype=dtype,
            name=name,
        )

    def to_rgb(name: str) -> ModulatedConv2D:
        return ModulatedConv2D(3, 1, activation="linear", gain=gain, dtype="float32", name=name)

    size = FIRST_SIZE
    feature_maps = LearnedConstant(size, base_channels, dtype=dtype, name="constant")(style)
    feature_maps = modulated(base_channels, f"{size}_conv")(feature_maps, style)
    images = to_rgb(f"{size}_to_rgb")(feature_maps, style)  # (batch, 4, 4, 3)
    for filters in channels:
        size *= 2
        feature_maps = modulated(filters, f"{size}_up", upsample=True)(feature_maps, style)
        feature_maps = modulated(filters, f"{size}_conv")(feature_maps, style)
        skip = UpsampleImage(dtype="float32", name=f"{size}_upsample")(images)
        add = keras.layers.Add(dtype="float32", name=f"{size}_add")
        images = add(
            [skip, to_rgb(f"{size}_to_rgb")(feature_maps, style)]
        )  # (batch, size, size, 3)
    return keras.Model(style, images, name="synthesis")
