"""The last layers of a discriminator with the encoder inside. See `build_heads`.

Progressive GAN and the StyleGANs share them.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import keras
from keras import KerasTensor

from config.backbones.karras import KarrasConfig
from models.layers import EqualizedConv2D, EqualizedDense
from models.networks import Networks
from models.normalisation import MinibatchStddev

FIRST_SIZE = 4


class KarrasNetworks(Networks):
    """Networks whose discriminator may measure minibatch standard deviations."""

    __slots__ = ()

    @property
    def linear_biases(self) -> list[keras.Variable] | None:
        """As `Networks`: standard deviations are not linear."""
        layers = self.discriminator.layers
        has_stddev = any(isinstance(layer, MinibatchStddev) for layer in layers)
        return None if has_stddev else super().linear_biases


def build_heads(
    latent_dim: int,
    units: int,
    model: KarrasConfig,
    log_variance: bool,
    leaky: dict[str, Any],
) -> Callable[[KerasTensor], list[KerasTensor]]:
    """A function from feature maps (batch, 4, 4, channels) to the discriminator's outputs.

    A convolution and a dense layer of `units`, both with the activation, gain and dtype policy of
    `leaky`, then a linear layer for each output: adversarial values (batch,), recovered latents
    (batch, latent_dim) and, with `log_variance`, the logarithms of the variances of their errors.

    The layers after the minibatch standard deviation run twice, with it and with zeros in its
    place: the recovered latents of an image do not depend on its batch.
    """
    linear = {"gain": 1.0, "dtype": "float32"}
    group, features = model.minibatch_stddev_group, model.minibatch_stddev_features
    stddev = MinibatchStddev(group, features, dtype=leaky["dtype"], name="stddev")
    last = [
        EqualizedConv2D(model.channels(FIRST_SIZE), 3, name=f"{FIRST_SIZE}_conv", **leaky),
        keras.layers.Flatten(dtype="float32", name="flatten"),
        EqualizedDense(units, name="dense", **leaky | {"dtype": "float32"}),
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
