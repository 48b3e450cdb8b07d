"""The discriminator of Progressive GAN and StyleGAN, with the encoder inside.

See `build_discriminator`.
"""

from collections.abc import Callable, Sequence
from functools import cache, reduce
from typing import Any

import keras
from keras import KerasTensor

from config.backbones import GrowingConfig
from models.backbones.growth import FIRST_SIZE, GAIN, Fade, halve
from models.backbones.normalisation import MinibatchStddev
from models.layers import EqualizedConv2D, EqualizedDense
from models.resampling import Resample2x


def build_discriminator(
    latent_dim: int,
    resolution: int,
    model: GrowingConfig,
    fade: Fade,
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
    def block(size: int) -> list[keras.layers.Layer]:
        convolution = EqualizedConv2D(model.channels(size), 3, name=f"{size}_conv", **leaky)
        down = Resample2x(model.channels(size // 2), False, taps, name=f"{size}_down", **leaky)
        return [convolution, down]

    heads = _build_heads(latent_dim, model, log_variance, leaky)
    images = inputs = keras.Input((resolution, resolution, 3), name="images")
    outputs = []
    for level in range(model.stages(resolution)):
        size = resolution >> level
        feature_maps = from_rgb(size)(images)
        if size > FIRST_SIZE:
            feature_maps = _chain(block(size), feature_maps)
        if size > FIRST_SIZE and model.grow:
            images = halve()(images)
            feature_maps = fade(feature_maps, from_rgb(size // 2)(images), level=level)
        while (size := size // 2) > FIRST_SIZE:
            feature_maps = _chain(block(size), feature_maps)
        outputs += heads(feature_maps)
    return keras.Model(inputs, outputs, name="discriminator")


def _build_heads(
    latent_dim: int, model: GrowingConfig, log_variance: bool, leaky: dict[str, Any]
) -> Callable[[KerasTensor], list[KerasTensor]]:
    """A function from feature maps (batch, 4, 4, channels) to the outputs of a stage.

    The layers after the minibatch standard deviation run twice, with it and with zeros in its
    place: the recovered latents of an image do not depend on its batch.
    """
    linear = {"gain": 1.0, "dtype": "float32"}
    group, features = model.minibatch_stddev_group, model.minibatch_stddev_features
    stddev = MinibatchStddev(group, features, dtype=leaky["dtype"], name="stddev")
    last = [
        EqualizedConv2D(model.channels(FIRST_SIZE), 3, name=f"{FIRST_SIZE}_conv", **leaky),
        keras.layers.Flatten(dtype="float32", name="flatten"),
        EqualizedDense(
            model.channels(FIRST_SIZE // 2), name="dense", **leaky | {"dtype": "float32"}
        ),
    ]
    adversarial = EqualizedDense(1, name="adversarial", **linear)
    values = keras.layers.Reshape((), dtype="float32", name="adversarial_values")
    names = ["latent", "log_variance"] if log_variance else ["latent"]
    encoders = [EqualizedDense(latent_dim, name=name, **linear) for name in names]

    def heads(feature_maps: KerasTensor) -> list[KerasTensor]:
        inputs = stddev(feature_maps) if group else [feature_maps]
        features = [_chain(last, maps) for maps in inputs]  # (batch, n) each
        return [values(adversarial(features[0])), *(encode(features[-1]) for encode in encoders)]

    return heads


def _chain(layers: Sequence[keras.layers.Layer], inputs: KerasTensor) -> KerasTensor:
    return reduce(lambda outputs, layer: layer(outputs), layers, inputs)
