"""What the networks of texture models share. See `BatchNorm`."""

import keras
from keras import KerasTensor, ops

from models.layers import Shape


class BatchNorm(keras.layers.Layer):
    """Batch normalisation with the statistics of the batch at hand, always (Ioffe, Szegedy 2015).

    Input and output: (batch, height, width, channels).
    """

    def __init__(
        self, epsilon: float, scale: str | keras.Initializer = "ones", name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.epsilon = epsilon
        self.start = scale

    def build(self, inputs_shape: Shape) -> None:
        self.scale = self.add_weight(shape=inputs_shape[-1:], initializer=self.start, name="scale")
        self.shift = self.add_weight(shape=inputs_shape[-1:], initializer="zeros", name="shift")

    def call(self, inputs: KerasTensor) -> KerasTensor:
        mean, variance = ops.moments(inputs, axes=(0, 1, 2), keepdims=True)
        return (inputs - mean) * ops.rsqrt(variance + self.epsilon) * self.scale + self.shift

    def compute_output_shape(self, inputs_shape: Shape) -> Shape:
        return inputs_shape
