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

from functools import partial
from typing import Any, NamedTuple

import keras
from keras import KerasTensor, ops

from config.backbones.dcgan import DcganConfig
from models.layers import Shape
from models.networks import Networks
from models.operations import LEAKY_SLOPE, mean_of_batch

_SMALLEST_SIZE = 4
_DEVIATION = 0.02  # of all initial weights


class _Form(NamedTuple):
    padding: tuple[int, int]  # rows and columns of zeros before and after
    epsilon: float
    normalizes_positions: bool  # first


_FORMS = {5: _Form((2, 1), 1e-8, True), 4: _Form((1, 1), 1e-5, False)}


@keras.saving.register_keras_serializable(package="dlsgan")
class BatchNormalization(keras.layers.Layer):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` for each channel.

    In training, mean and population variance are the batch's, of which each of `replicas` may hold
    a part. Moving averages follow them: 0.9 of the former value, 0.1 of the batch's. As PyTorch's
    and unlike Keras', they take n / (n - 1) times the variance of n values. Otherwise the moving
    averages serve as mean and variance: an addition to the authors' code, which always takes the
    batch's. All is float32 under every dtype policy, up to the output.

    Input and output: (..., channels).
    """

    momentum = 0.9
    replicas = 1

    def __init__(self, epsilon: float, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.epsilon = epsilon

    def build(self, input_shape: Shape) -> None:
        add = partial(self.add_weight, (input_shape[-1],), autocast=False)
        self.gamma = add(keras.initializers.RandomNormal(1.0, _DEVIATION), name="gamma")
        self.beta = add("zeros", name="beta")
        self.moving_mean = add("zeros", trainable=False, name="moving_mean")
        self.moving_variance = add("ones", trainable=False, name="moving_variance")

    def call(self, inputs: KerasTensor, training: bool = False) -> KerasTensor:
        inputs = ops.cast(inputs, "float32")
        if training:
            axes = tuple(range(len(inputs.shape) - 1))
            mean = mean_of_batch(inputs, axes, self.replicas)
            centred = inputs - mean
            variance = mean_of_batch(ops.square(centred), axes, self.replicas)
            self._follow(mean, variance, ops.size(inputs) // inputs.shape[-1] * self.replicas)
        else:
            centred, variance = inputs - self.moving_mean, self.moving_variance
        outputs = centred * (self.gamma * ops.rsqrt(variance + self.epsilon)) + self.beta
        return ops.cast(outputs, self.compute_dtype)

    def _follow(self, mean: KerasTensor, variance: KerasTensor, count: KerasTensor) -> None:
        count = ops.cast(count, "float32")
        variance = variance * count / ops.maximum(count - 1.0, 1.0)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(self.momentum * moving + (1.0 - self.momentum) * value)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"epsilon": self.epsilon}


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
