"""Normalisation layers that several GANs share, `BatchNormalization` among them.

All compute in float32 under every dtype policy: squares overflow in float16.
"""

from functools import partial
from typing import Any

import keras
from keras import KerasTensor, ops

from models.layers import Shape
from models.operations import mean_of_batch

_EPSILON = 1e-8
_DEVIATION = 0.02  # of the scales with which batch normalisation begins


@keras.saving.register_keras_serializable(package="dlsgan")
class PixelNorm(keras.layers.Layer):
    """Divide each pixel, or latent, by its root mean square over channels.

    `x / sqrt(mean(x^2) + 1e-8)` (Karras et al. 2018, section 4.2).

    Input and output: (..., channels).
    """

    def call(self, inputs: KerasTensor) -> KerasTensor:
        inputs = ops.cast(inputs, "float32")
        mean_square = ops.mean(ops.square(inputs), axis=-1, keepdims=True)
        return ops.cast(inputs * ops.rsqrt(mean_square + _EPSILON), self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


@keras.saving.register_keras_serializable(package="dlsgan")
class MinibatchStddev(keras.layers.Layer):
    """Append how much the images of a group differ, as `features` constant channels.

    Sample n of a batch of N belongs to group n mod (N / G). Each channel block's feature is the
    mean over pixels and channels of `sqrt(variance over the group + 1e-8)`, the same for all G
    members (Karras et al. 2018, section 3). G is the largest divisor of N up to `group_size`; the
    authors require a multiple of `group_size`, or less than that.

    The value of an image then depends on its batch. An encoder's must not: it takes the second
    output, which has zeros in place of the features.

    Input: (batch, height, width, channels), channels a multiple of `features`.
    Output: two tensors (batch, height, width, channels + features).
    """

    def __init__(self, group_size: int = 4, features: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group_size = group_size
        self.features = features

    def build(self, feature_maps_shape: Shape) -> None:
        channels = feature_maps_shape[-1]
        if channels % self.features:
            raise ValueError(
                f"features must divide the {channels} channels. Received: {self.features}"
            )

    def call(self, feature_maps: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
        features = ops.cast(self._measure(feature_maps), feature_maps.dtype)  # (batch, features)
        shape = ops.shape(feature_maps)
        features = ops.broadcast_to(features[:, None, None, :], (*shape[:3], self.features))
        return (
            ops.concatenate([feature_maps, features], axis=-1),
            ops.concatenate([feature_maps, ops.zeros_like(features)], axis=-1),
        )

    def compute_output_shape(self, feature_maps_shape: Shape) -> tuple[Shape, Shape]:
        *pixels, channels = feature_maps_shape
        shape = (*pixels, channels + self.features)
        return shape, shape

    def _measure(self, feature_maps: KerasTensor) -> KerasTensor:
        """The features (batch, features) of each sample, in float32."""
        batch, height, width, channels = ops.shape(feature_maps)
        size = _largest_divisor(batch, self.group_size)
        blocks = (self.features, channels // self.features)
        groups = ops.cast(feature_maps, "float32")
        groups = ops.reshape(groups, (size, batch // size, height, width, *blocks))
        deviations = ops.sqrt(ops.var(groups, axis=0) + _EPSILON)
        measured = ops.mean(deviations, axis=(1, 2, 4))  # (groups, features)
        return ops.tile(measured, (size, 1))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "group_size": self.group_size,
            "features": self.features,
        }


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

    def __init__(
        self, epsilon: float, seed: keras.random.SeedGenerator | None = None, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.epsilon = epsilon
        self._start = partial(keras.initializers.RandomNormal, 1.0, _DEVIATION, seed=seed)

    def build(self, input_shape: Shape) -> None:
        add = partial(self.add_weight, (input_shape[-1],), autocast=False)
        self.gamma = add(self._start(), name="gamma")
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


def _largest_divisor(number: int | KerasTensor, limit: int) -> int | KerasTensor:
    """The largest divisor of `number` up to `limit`; a tensor if `number` is one."""
    if isinstance(number, int):
        return max(d for d in range(1, limit + 1) if number % d == 0)
    candidates = ops.arange(1, limit + 1)
    return ops.max(ops.where(number % candidates == 0, candidates, 1))
