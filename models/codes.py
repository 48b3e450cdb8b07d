"""The recovered latents of InfoGAN: codes, and zeros for the other elements. See `keep_codes`."""

from typing import Any

import keras
from keras import KerasTensor, ops

from models.layers import Shape
from models.networks import Networks, shrink_heads


@keras.saving.register_keras_serializable(package="dlsgan")
class KeepFirst(keras.layers.Layer):
    """Zeros in place of all elements but the first `count`.

    Input and output: (batch, elements).
    """

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = count

    def call(self, inputs: KerasTensor) -> KerasTensor:
        return ops.where(ops.arange(inputs.shape[-1]) < self.count, inputs, 0.0)

    def compute_output_shape(self, inputs_shape: Shape) -> Shape:
        return inputs_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"count": self.count}


def keep_codes(networks: Networks, count: int) -> Networks:
    """The same networks, whose encoder recovers the first `count` elements, and 0 for the others.

    The expected value of an element that nothing tells about is 0, its mean. Log variances, if
    there are any, begin near 0: a likelihood is enormous where they are far below.
    """
    discriminator, keep = networks.discriminator, KeepFirst(count, dtype="float32", name="codes")
    shrink_heads(discriminator, "log_variance")
    heads = len(discriminator.outputs) // len(networks.synthesis.outputs)  # of each stage
    outputs = [keep(x) if i % heads == 1 else x for i, x in enumerate(discriminator.outputs)]
    model = keras.Model(discriminator.input, outputs, name=discriminator.name)
    return networks._replace(discriminator=model)
