"""Networks of one scale of SinGAN (Shaham, Dekel and Michaeli 2019).

See `build_generator` and `build_discriminator`.
"""

import keras
from keras import KerasTensor

from models.normalisation import BatchNormalization

PADDING = 5  # pixels that the convolutions of either network take off each side
_KERNEL = 3
_SLOPE = 0.2
_BN_EPSILON = 1e-5
_SPREAD = 0.02  # standard deviation of weights at the start


def build_generator(width: int, seeds: keras.random.SeedGenerator) -> keras.Model:
    """What a scale adds to the image of the coarser one.

    Inputs: noise, scaled by its amplitude, and the image, both (batch, height + 10, width + 10, 3).
    Output: (batch, height, width, 3), about [-1, 1].
    """
    noise, previous = (keras.Input((None, None, 3)) for _ in range(2))
    change = _convolve(keras.layers.Add()([noise, previous]), width, 3, "tanh", seeds)
    image = keras.layers.Add()([change, keras.layers.Cropping2D(PADDING)(previous)])
    return keras.Model([noise, previous], image)


def build_discriminator(width: int, seeds: keras.random.SeedGenerator) -> keras.Model:
    """A critic of all squares of 11x11 pixels.

    Input: (batch, height, width, 3). Output: (batch, height - 10, width - 10, 1).
    """
    images = keras.Input((None, None, 3))
    return keras.Model(images, _convolve(images, width, 1, None, seeds))


def _convolve(
    features: KerasTensor,
    width: int,
    channels: int,
    activation: str | None,
    seeds: keras.random.SeedGenerator,
) -> KerasTensor:
    """Convolutions without padding; kernels start as N(0, 0.02), biases as PyTorch's."""
    for number in range(1, PADDING + 1):
        bound = (features.shape[-1] * _KERNEL**2) ** -0.5
        is_last = number == PADDING
        features = keras.layers.Conv2D(
            channels if is_last else width,
            _KERNEL,
            activation=activation if is_last else None,
            kernel_initializer=keras.initializers.RandomNormal(0.0, _SPREAD, seed=seeds),
            bias_initializer=keras.initializers.RandomUniform(-bound, bound, seed=seeds),
            name=f"conv{number}",
        )(features)
        if not is_last:
            features = BatchNormalization(_BN_EPSILON, seeds, name=f"norm{number}")(features)
            features = keras.layers.LeakyReLU(_SLOPE)(features)
    return features
