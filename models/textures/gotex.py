"""GOTEX's feed-forward generator, as that of Texture Networks (Ulyanov et al. 2016).

Noise of each level, from the coarsest on, passes a block of convolutions, joins what the coarser
levels made at twice the size, and passes another. See `build_generator`.
"""

from collections.abc import Sequence

import keras
from keras import KerasTensor

from models.textures.layers import BatchNorm

_NOISE_CHANNELS = 3
_LEVEL_CHANNELS = 2  # that each level's noise adds
_SLOPE = 0.01
_BN_EPSILON = 1e-5
_BORDER = 4  # pixels of the image beyond what the coarsest noise stands for


def build_generator(levels: int, seed: int) -> keras.Model:
    """The network: noises of levels 0 (coarsest) to `levels` -> image, not bounded.

    Inputs: (batch, height, width, 3) of `noise_sizes`. Output: (batch, height, width, 3).
    """
    seeds = keras.random.SeedGenerator(seed)
    noises = [
        keras.Input((None, None, _NOISE_CHANNELS), name=f"noise_{level}")
        for level in range(levels + 1)
    ]
    features = _block(noises[0], _LEVEL_CHANNELS, "level_0", seeds)
    for level in range(1, levels + 1):
        features = keras.layers.UpSampling2D(2)(features)
        features = BatchNorm(_BN_EPSILON, name=f"up_{level}_norm")(features)
        added = _block(noises[level], _LEVEL_CHANNELS, f"level_{level}", seeds)
        features = keras.layers.Concatenate()([features, added])
        features = _block(features, _LEVEL_CHANNELS * (level + 1), f"joined_{level}", seeds)
    image = _convolution(3, 1, "image", features.shape[-1], seeds, use_bias=False)(features)
    return keras.Model(noises, image)


def noise_sizes(levels: int, rows: int, columns: int) -> list[tuple[int, int]]:
    """(height, width) of each level's noise, for an image of (2^levels rows + 4) pixels and so on.

    A level's convolutions take 4 pixels off each of its noise and of what is joined with it.
    """
    margins = [2 * _BORDER if level == 0 else 3 * _BORDER for level in range(levels + 1)]
    return [
        (margin + 2**level * rows, margin + 2**level * columns)
        for level, margin in enumerate(margins)
    ]


def coarsest_sides(levels: int, size: Sequence[int]) -> list[int]:
    """(rows, columns) for the smallest image that covers `size` (height, width)."""
    return [max(1, -(-(side - _BORDER) // 2**levels)) for side in size]


def _block(
    inputs: KerasTensor, channels: int, name: str, seeds: keras.random.SeedGenerator
) -> KerasTensor:
    """Convolutions of 3x3, 3x3 and 1x1 pixels, each normalised; 4 pixels less in each direction."""
    features = inputs
    for number, kernel in enumerate((3, 3, 1), start=1):
        fan_in = features.shape[-1] * kernel**2
        convolve = _convolution(channels, kernel, f"{name}_conv{number}", fan_in, seeds)
        features = BatchNorm(_BN_EPSILON, name=f"{name}_norm{number}")(convolve(features))
        features = keras.layers.LeakyReLU(_SLOPE)(features)
    return features


def _convolution(
    channels: int,
    kernel: int,
    name: str,
    fan_in: int,
    seeds: keras.random.SeedGenerator,
    use_bias: bool = True,
) -> keras.layers.Conv2D:
    """Without padding; kernels and biases start as U(-1, 1) / sqrt(fan_in), as PyTorch's."""
    bound = fan_in**-0.5
    start = keras.initializers.RandomUniform(-bound, bound, seed=seeds)
    return keras.layers.Conv2D(
        channels,
        kernel,
        use_bias=use_bias,
        kernel_initializer=start,
        bias_initializer=start,
        name=name,
    )
