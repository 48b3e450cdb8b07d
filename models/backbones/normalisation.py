"""Normalisation layers that several GANs share: `PixelNorm` and `MinibatchStddev`.

Both compute in float32 under every dtype policy: squares overflow in float16.
"""

from typing import Any

import keras
from keras import KerasTensor, ops

from models.layers import Shape

_EPSILON = 1e-8


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


def _largest_divisor(number: int | KerasTensor, limit: int) -> int | KerasTensor:
    """The largest divisor of `number` up to `limit`; a tensor if `number` is one."""
    if isinstance(number, int):
        return max(d for d in range(1, limit + 1) if number % d == 0)
    candidates = ops.arange(1, limit + 1)
    return ops.max(ops.where(number % candidates == 0, candidates, 1))
