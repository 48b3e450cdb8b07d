"""The discriminator of Progressive GAN and StyleGAN, with the encoder inside.

See `build_discriminator`.
"""

from collections.abc import Callable, Sequence
from functools import cache

import keras
from keras import KerasTensor

from config.backbones.karras import GrowingConfig
from models.backbones.growth import GAIN, Fade, LevelOfDetail, halve
from models.backbones.heads import FIRST_SIZE, build_heads
from models.layers import EqualizedConv2D
from models.resampling import Resample2x


def build_discriminator(
    latent_dim: int,
    resolution: int,
    model: GrowingConfig,
    detail: LevelOfDetail,
    taps: Sequence[float] | None = None,
    log_variance: bool = False,
    dtype: str = "float32",
) -> keras.Model:
    """From RGB of a stage's size two convolutions a size down to 4x4, then the heads.

    `taps` are those of a low-pass filter before each convolution that halves the size: StyleGAN's.
    `dtype` is the Keras dtype policy of the feature maps; everything after them is float32.

    Input: images (batch, resolution, resolution, 3). Output for each stage, that with all layers
    first: adversarial values (batch,), recovered latents (batch, latent_dim) and, with
    `log_variance`, the logarithms of the variances of their errors (batch, latent_dim).
    """
    leaky = {"activation": "leaky_relu", "gain": GAIN, "dtype": dtype}

    @cache
    def from_rgb(size: int) -> keras.layers.Layer:
        return EqualizedConv2D(model.channels(size), 1, name=f"{size}_from_rgb", **leaky)

    @cache
    def block(size: int) -> Callable[[KerasTensor], KerasTensor]:
        convolution = EqualizedConv2D(model.channels(size), 3, name=f"{size}_conv", **leaky)
        down = Resample2x(model.channels(size // 2), False, taps, name=f"{size}_down", **leaky)
        return lambda feature_maps: down(convolution(feature_maps))

    heads = build_heads(latent_dim, model.channels(FIRST_SIZE // 2), model, log_variance, leaky)
    images = inputs = keras.Input((resolution, resolution, 3), name="images")
    lod = detail(images) if model.grow else None
    outputs = []
    for level in range(model.stages(resolution)):
        size = resolution >> level
        feature_maps = from_rgb(size)(images)
        if size > FIRST_SIZE:
            feature_maps = block(size)(feature_maps)
        if size > FIRST_SIZE and model.grow:
            images = halve()(images)
            fade = Fade(level, dtype=dtype, name=f"{size}_fade")
            feature_maps = fade(feature_maps, from_rgb(size // 2)(images), lod)
        while (size := size // 2) > FIRST_SIZE:
            feature_maps = block(size)(feature_maps)
        outputs += heads(feature_maps)
    return keras.Model(inputs, outputs, name="discriminator")
