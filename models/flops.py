"""What the networks cost: floating-point operations, counted from their layers. See `step_flops`.

A multiplication and an addition count as two. What is counted are convolutions and matrix products;
filters, activations and standard deviations, which are bound by memory, are not.
"""

import math
from typing import NamedTuple

from models.layers import EqualizedConv2D, EqualizedDense, ModulatedConv2D

# Times that a training step computes each layer: forward, the gradient with respect to its input,
# and that with respect to its weights.
GENERATOR_PASSES = 3
_FAKE_PASSES = 4  # of the discriminator; the two losses have a gradient each with respect to inputs
_REAL_PASSES = 3
_R1_PASSES = 3  # the gradient that is penalised, and two for the penalty's own


class Convolution(NamedTuple):
    """A convolution: height (or width) of its input and output, and its kernel."""

    input_size: int
    output_size: int
    kernel_size: int
    inputs: int
    outputs: int

    @property
    def flops(self):
        """Of one image, forward; each gradient takes the same."""
        pixels = min(self.input_size, self.output_size) ** 2
        return 2 * pixels * self.kernel_size**2 * self.inputs * self.outputs


def convolutions(network):
    """The `Convolution`s of a network, in the order of its layers."""
    found = []
    for layer in network.layers:
        if isinstance(layer, (EqualizedConv2D, ModulatedConv2D)):
            feature_maps = layer.input[0] if isinstance(layer.input, list) else layer.input
            _, input_size, _, inputs = feature_maps.shape
            _, output_size, _, outputs = layer.output.shape
            found.append(Convolution(input_size, output_size, layer.kernel_size, inputs, outputs))
    return found


def forward_flops(network):
    """Of one sample."""
    dense = [layer for layer in network.layers if isinstance(layer, EqualizedDense)]
    dense += [layer.style for layer in network.layers if isinstance(layer, ModulatedConv2D)]
    products = sum(2 * math.prod(layer.kernel.shape) for layer in dense)
    return products + sum(convolution.flops for convolution in convolutions(network))


def discriminator_passes(settings):
    """Of a training step with these `config.TrainConfig`, on average."""
    r1 = _R1_PASSES / settings.r1_interval if settings.r1_weight else 0
    return _FAKE_PASSES + _REAL_PASSES + r1


def step_flops(networks, settings):
    """Of a training step for each image of the batch, on average."""
    generator = forward_flops(networks.mapper) + forward_flops(networks.synthesis)
    discriminator = forward_flops(networks.discriminator)
    return GENERATOR_PASSES * generator + discriminator_passes(settings) * discriminator
