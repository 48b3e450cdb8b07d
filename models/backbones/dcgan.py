"""DCGAN (Radford et al. 2016), in the authors' form and in the common one. See `build_networks`.

The forms, named by their `kernel_size`, differ in little:

| | 5: the authors' (Newmu/dcgan_code) | 4: pytorch/examples |
|---|---|---|
| zeros around the images of D; cut from those of G | 2 before, 1 after | 1 before, 1 after |
| epsilon of batch normalisation | 1e-8 | 1e-5 |
| G's first batch normalisation | for each feature and position | for each feature |
| channels next to the images, in their code | 128 | 64 |

The first transposed convolution of the second form, from 1x1 to 4x4, and the last convolution of
its discriminator, from 4x4 to 1x1, are written as the dense layers that they are. The authors'
kernels are convolved with, not correlated: theirs are ours rotated by 180 degrees.
"""

from typing import NamedTuple

import keras
from keras import KerasTensor

from config.backbones.dcgan import DcganConfig
from models.networks import Networks
from models.normalisation import BatchNormalization
from models.operations import LEAKY_SLOPE

_SMALLEST_SIZE = 4
_DEVIATION = 0.02  # of all initial weights


class _Form(NamedTuple):
    padding: tuple[int, int]  # rows and columns of zeros before and after
    epsilon: float
    normalizes_positions: bool  # first


_FORMS = {5: _Form((2, 1), 1e-8, True), 4: _Form((1, 1), 1e-5, False)}


class DcganNetworks(Networks):
    """A generator without a mapper, and a discriminator; either may normalise by batch."""

    @property
    def linear_biases(self) -> list[keras.Variable] | None:
        return None if _normalizations(self.discriminator) else super().linear_biases


def _normalizations(part: keras.Model) -> list[BatchNormalization]:
    return [layer for layer in part.layers if isinstance(layer, BatchNormalization)]


def build_networks(
    latent_dim: int,
    resolution: int,
    model: DcganConfig,
    log_variance: bool = False,
    dtype: str = "float32",
) -> Networks:
    """The generator, named synthesis, and the discriminator with the encoder inside.

    The paper's widths, from the images to 4x4: `model.generator_channels` and
    `model.discriminator_channels` at half the resolution, twice as many at each halving. The paper
    has four such sizes, for 64x64; other resolutions have more or fewer.

    Layers with batch normalisation have no bias, nor have the last ones. Without it they do.

    `dtype` is the Keras dtype policy of the feature maps; weights, images, statistics of batches
    and everything after the last feature maps are float32.

    Synthesis: scaled latents (batch, latent_dim) to images (batch, resolution, resolution, 3) in
    [-1, 1]. Discriminator: images to adversarial values (batch,) before the sigmoid, recovered
    latents (batch, latent_dim) and, with `log_variance`, log variances (batch, latent_dim); each is
    a dense layer on the same flattened last feature maps.
    """
    synthesis = _build_generator(latent_dim, resolution, model, dtype)
    discriminator = _build_discriminator(latent_dim, resolution, model, log_variance, dtype)
    return DcganNetworks(None, synthesis, discriminator)


def _build_generator(
    latent_dim: int, resolution: int, model: DcganConfig, dtype: str
) -> keras.Model:
    form = _FORMS[model.kernel_size]
    use_bias = not model.generator_batch_norm

    def normalize(features: KerasTensor, size: int) -> KerasTensor:
        if model.generator_batch_norm:
            features = BatchNormalization(form.epsilon, dtype=dtype, name=f"{size}_norm")(features)
        return keras.layers.ReLU(dtype=dtype, name=f"{size}_relu")(features)

    def up(
        feature_maps: KerasTensor, size: int, filters: int, use_bias: bool, dtype: str
    ) -> KerasTensor:
        feature_maps = keras.layers.Conv2DTranspose(
            filters,
            model.kernel_size,
            strides=2,
            use_bias=use_bias,
            kernel_initializer=_initializer(),
            dtype=dtype,
            name=f"{size}_up",
        )(feature_maps)
        crop = keras.layers.Cropping2D((form.padding,) * 2, dtype=dtype, name=f"{size}_crop")
        return crop(feature_maps)

    size, width = _SMALLEST_SIZE, model.generator_channels * resolution // 8
    latents = keras.Input((latent_dim,), name="scaled_latents")
    reshape = keras.layers.Reshape((size, size, width), dtype=dtype, name="reshape")
    features = _dense(size * size * width, "dense", use_bias)(latents)
    if form.normalizes_positions:
        feature_maps = reshape(normalize(features, size))
    else:
        feature_maps = normalize(reshape(features), size)
    while 2 * size < resolution:
        size, width = 2 * size, width // 2
        feature_maps = normalize(up(feature_maps, size, width, use_bias, dtype), size)
    images = up(feature_maps, resolution, 3, False, "float32")
    images = keras.layers.Activation("tanh", dtype="float32", name="tanh")(images)
    return keras.Model(latents, images, name="synthesis")


def _build_discriminator(
    latent_dim: int, resolution: int, model: DcganConfig, log_variance: bool, dtype: str
) -> keras.Model:
    form = _FORMS[model.kernel_size]
    images = feature_maps = keras.Input((resolution, resolution, 3), name="images")
    size, width = resolution, model.discriminator_channels
    while size > _SMALLEST_SIZE:
        is_normalized = model.discriminator_batch_norm and size < resolution
        pad = keras.layers.ZeroPadding2D((form.padding,) * 2, dtype=dtype, name=f"{size}_pad")
        feature_maps = keras.layers.Conv2D(
            width,
            model.kernel_size,
            strides=2,
            use_bias=not model.discriminator_batch_norm,
            kernel_initializer=_initializer(),
            dtype=dtype,
            name=f"{size}_down",
        )(pad(feature_maps))
        if is_normalized:
            normalize = BatchNormalization(form.epsilon, dtype=dtype, name=f"{size}_norm")
            feature_maps = normalize(feature_maps)
        leaky = keras.layers.LeakyReLU(LEAKY_SLOPE, dtype=dtype, name=f"{size}_leaky_relu")
        feature_maps = leaky(feature_maps)
        size, width = size // 2, 2 * width
    features = keras.layers.Flatten(dtype="float32", name="flatten")(feature_maps)
    adversarial = _dense(1, "adversarial")(features)  # (batch, 1)
    adversarial = keras.layers.Reshape((), dtype="float32", name="adversarial_values")(adversarial)
    outputs = [adversarial, _dense(latent_dim, "latent")(features)]
    if log_variance:
        outputs.append(_dense(latent_dim, "log_variance")(features))
    return keras.Model(images, outputs, name="discriminator")


def _dense(units: int, name: str, use_bias: bool = False) -> keras.layers.Dense:
    return keras.layers.Dense(
        units,
        use_bias=use_bias,
        kernel_initializer=_initializer(),
        dtype="float32",
        name=name,
    )


def _initializer() -> keras.initializers.Initializer:
    """A new one for each layer: one alone would draw the same weights again."""
    return keras.initializers.RandomNormal(stddev=_DEVIATION)
