"""The synthesis network: the second half of the generator, from a style to an image.

See `build_synthesis`. The architecture is StyleGAN2's with skip connections to RGB (Karras et al.
2020, figure 7b), without noise inputs (paper, section 4.1), truncation or style mixing.
"""

import keras

from models.layers import LearnedConstant, ModulatedConv2D, UpsampleImage

FIRST_SIZE = 4


def build_synthesis(style_units, base_channels, channels, gain=2.0):
    """A 4x4 constant of `base_channels`, then one doubling block for each entry of `channels`.

    Input: styles (batch, style_units).
    Output: RGB images (batch, resolution, resolution, 3), not squashed or clipped, with
    resolution = 4 * 2 ** len(channels).
    """
    style = keras.Input((style_units,), name="style")

    def modulated(filters, kernel_size, name, activation="leaky_relu", upsample=False):
        return ModulatedConv2D(
            filters, kernel_size, upsample=upsample, activation=activation, gain=gain, name=name
        )

    size = FIRST_SIZE
    feature_maps = LearnedConstant(size, base_channels, name="constant")(style)
    feature_maps = modulated(base_channels, 3, f"{size}_conv")(feature_maps, style)
    images = modulated(3, 1, f"{size}_to_rgb", activation="linear")(feature_maps, style)
    for filters in channels:
        size *= 2
        feature_maps = modulated(filters, 3, f"{size}_up", upsample=True)(feature_maps, style)
        feature_maps = modulated(filters, 3, f"{size}_conv")(feature_maps, style)
        skip = UpsampleImage(name=f"{size}_upsample")(images)
        to_rgb = modulated(3, 1, f"{size}_to_rgb", activation="linear")
        images = keras.layers.Add(name=f"{size}_add")([skip, to_rgb(feature_maps, style)])
    return keras.Model(style, images, name="synthesis")
