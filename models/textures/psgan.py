"""Networks of Spatial GAN and Periodic Spatial GAN: a field of noise gives an image of its size.

Jetchev, Bergmann and Vollgraf, "Texture synthesis with spatial generative adversarial networks"
(2016); Bergmann, Jetchev and Vollgraf, "Learning texture manifolds with the Periodic Spatial GAN"
(2017). See `NoiseStage`, `build_generator` and `build_discriminator`.
"""

import math
from collections.abc import Sequence

import keras
from keras import KerasTensor, ops

from models.layers import Shape
from models.textures.layers import BatchNorm

_KERNEL = 5
_SLOPE = 0.2
_BN_EPSILON = 1e-4
_SPREAD = 0.02  # standard deviation of weights at the start


class NoiseStage(keras.layers.Layer):
    """Adds waves over the field to its noise; the network learns their wave numbers.

    Wave i of each direction has the phase c (x k_x + y k_y) at column x and row y, with c from the
    fixed ladder pi (0.5 i / waves + 0.5). The numbers k come from the global channels by a network
    with one hidden layer, and without them are weights. Plain waves run along x or y alone.

    Input: (batch, rows, columns, global then other channels), and offsets of the phases in turns,
    (batch, 2 waves). Output: (batch, rows, columns, channels + 2 waves).
    """

    def __init__(
        self,
        global_channels: int,
        waves: int,
        is_affine: bool,
        seeds: keras.random.SeedGenerator,
        hidden: int = 50,
    ) -> None:
        super().__init__()
        self.global_channels = global_channels
        self.waves = waves
        self.is_affine = is_affine
        self.seeds = seeds
        self.hidden = hidden

    def build(self, field_shape: Shape, offsets_shape: Shape) -> None:
        if not self.waves:
            return
        around_one = keras.initializers.RandomNormal(1.0, _SPREAD, seed=self.seeds)
        sizes = (self.global_channels, self.hidden, 4 * self.waves)
        if self.global_channels:
            self.kernel_1 = self.add_weight(shape=sizes[:2], initializer=around_one, name="first")
            self.bias_1 = self.add_weight(shape=sizes[1:2], initializer="zeros", name="first_bias")
            self.kernel_2 = self.add_weight(shape=sizes[1:], initializer=around_one, name="second")
        self.bias_2 = self.add_weight(shape=sizes[2:], initializer=_along_axes, name="second_bias")

    def call(
        self, field: KerasTensor, offsets: KerasTensor, period: tuple[int, int] | None = None
    ) -> KerasTensor:
        """With `period` (rows, columns), whole numbers of waves fit into it."""
        if not self.waves:
            return field
        numbers = [self._ladder() * k for k in ops.split(self._wave_numbers(field), 4, axis=-1)]
        if period:
            sides = (period[1], period[0]) * 2
            numbers = [_fit(k, side) for k, side in zip(numbers, sides, strict=True)]
        first_x, first_y, second_x, second_y = numbers
        rows, columns = ops.shape(field)[1:3]
        x = ops.cast(ops.arange(columns), "float32")[None, None, :, None]
        y = ops.cast(ops.arange(rows), "float32")[None, :, None, None]
        if self.is_affine:
            phases = [x * first_x + y * first_y, x * second_x + y * second_y]
        else:
            phases = [x * first_x + 0.0 * y, 0.0 * x + y * second_y]
        turns = 2.0 * math.pi * offsets[:, None, None, :]
        return ops.concatenate([field, ops.sin(ops.concatenate(phases, -1) + turns)], axis=-1)

    def _ladder(self) -> KerasTensor:
        """(waves,), from the shortest wave to the longest."""
        steps = range(self.waves, 0, -1)
        return ops.array([math.pi * (0.5 * i / self.waves + 0.5) for i in steps], "float32")

    def _wave_numbers(self, field: KerasTensor) -> KerasTensor:
        """(batch, rows, columns, 4 waves); (1, 1, 1, 4 waves) without global channels."""
        if not self.global_channels:
            return ops.reshape(self.bias_2, (1, 1, 1, -1))
        inputs = field[..., : self.global_channels]
        features = ops.relu(ops.tensordot(inputs, self.kernel_1, 1) + self.bias_1)
        return ops.tensordot(features, self.kernel_2, 1) + self.bias_2


def _along_axes(shape: Shape, dtype: str) -> KerasTensor:
    """Wave numbers (1, 0) for the first waves and (0, 1) for the second: columns, then rows."""
    return ops.repeat(ops.array([1.0, 0.0, 0.0, 1.0], dtype), shape[0] // 4)


def _fit(numbers: KerasTensor, side: int) -> KerasTensor:
    """The nearest wave numbers that make whole waves in `side` positions."""
    step = 2.0 * math.pi / side
    return step * ops.round(numbers / step)


def build_generator(
    channels: int, widths: Sequence[int], seeds: keras.random.SeedGenerator
) -> keras.Model:
    """Transposed convolutions, one more than `widths`, which go from the image to the noise.

    Input: (batch, rows, columns, channels). Output: (batch, (rows - 1) 2^L + 1, (columns - 1) 2^L +
    1, 3) in [-1, 1] for L layers.
    """
    start = keras.initializers.RandomNormal(0.0, _SPREAD, seed=seeds)
    noise = keras.Input((None, None, channels))
    features = noise
    for number, width in enumerate(reversed(widths), start=1):
        features = keras.layers.Conv2DTranspose(
            width,
            _KERNEL,
            2,
            "same",
            output_padding=0,
            use_bias=False,
            kernel_initializer=start,
            name=f"conv{number}",
        )(features)
        features = keras.layers.ReLU()(_normalise(features, number, seeds))
    image = keras.layers.Conv2DTranspose(
        3,
        _KERNEL,
        2,
        "same",
        output_padding=0,
        activation="tanh",
        kernel_initializer=start,
        name="image",
    )(features)
    return keras.Model(noise, image)


def build_discriminator(widths: Sequence[int], seeds: keras.random.SeedGenerator) -> keras.Model:
    """Convolutions, one more than `widths`.

    Input: images whose sides are 2^L n + 1, so that padding is the same on both. Output: logits
    (batch, rows, columns, 1) of being real, one for each position of the generator's noise.
    """
    start = keras.initializers.RandomNormal(0.0, _SPREAD, seed=seeds)
    images = keras.Input((None, None, 3))
    features = images
    for number, width in enumerate((*widths, 1), start=1):
        features = keras.layers.Conv2D(
            width,
            _KERNEL,
            2,
            "same",
            use_bias=False,
            kernel_initializer=start,
            name=f"conv{number}",
        )(features)
        if 1 < number <= len(widths):
            features = _normalise(features, number, seeds)
        if number <= len(widths):
            features = keras.layers.LeakyReLU(_SLOPE)(features)
    return keras.Model(images, features)


def _normalise(
    features: KerasTensor, number: int, seeds: keras.random.SeedGenerator
) -> KerasTensor:
    scale = keras.initializers.RandomNormal(1.0, _SPREAD, seed=seeds)
    return BatchNorm(_BN_EPSILON, scale, name=f"norm{number}")(features)
