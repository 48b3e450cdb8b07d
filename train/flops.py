"""Floating-point operations of a training step, counted from its graph. See `step_flops`.

A multiplication and an addition count as two. Convolutions and matrix products count; filters,
activations and standard deviations do not, because memory bounds them.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from models.backbones.growth import fixed_stage
from train.choices import due_weights, lazy_intervals
from train.passes import BOTH, Loss
from train.step import Trainer


class Convolution(NamedTuple):
    """The shape of a convolution, whichever of its passes an operation computes.

    `size` is the height of the larger end, `size // stride` of the smaller one.
    """

    size: int
    stride: int
    kernel_size: int
    inputs: int
    outputs: int

    @property
    def flops(self) -> int:
        """Operations for one image; the forward pass and each gradient take the same."""
        pixels = (self.size // self.stride) ** 2
        return 2 * pixels * self.kernel_size**2 * self.inputs * self.outputs


def step_flops(trainer: Trainer) -> float:
    """Operations of a training step for each of its real images.

    With lazy penalties it is the mean over as many steps as the longest interval. Networks that
    grow have their full size.
    """
    flops = 0.0
    for losses in trainer.passes:
        batch_flops = [graph_flops(graph) for graph in step_graphs(trainer, losses)]
        flops += sum(batch_flops) / len(batch_flops)
    return flops / trainer.images_per_step


def step_graphs(trainer: Trainer, losses: Sequence[Loss] = BOTH) -> list[tf.Graph]:
    """The graph of a pass, with losses and gradients, for each of some consecutive steps.

    There are as many as the longest interval of a penalty, such as `train.r1_interval`.
    """
    turns = trainer.penaliser.turns
    intervals = lazy_intervals(turns)
    kinds = [tuple(step % k == 0 for k in intervals) for step in range(max(intervals, default=1))]
    graphs = {
        kind: _trace(trainer, due_weights(turns, dict(zip(intervals, kind, strict=True))), losses)
        for kind in dict.fromkeys(kinds)
    }
    return [graphs[kind] for kind in kinds]


def graph_flops(graph: tf.Graph) -> int:
    """Operations, for the whole batch, of what a graph computes for its results."""
    operations = needed_operations(graph)
    convolutions = sum(_batch_size(op) * _shape(op).flops for op in operations if _is_conv(op))
    return convolutions + sum(_product_flops(op) for op in operations if _is_product(op))


def graph_convolutions(graph: tf.Graph) -> Iterator[Convolution]:
    """Every convolution, forward or backward, that a graph computes for its results."""
    return (_shape(op) for op in needed_operations(graph) if _is_conv(op))


def needed_operations(graph: tf.Graph) -> set[tf.Operation]:
    """The operations on which the results of a traced function depend: TensorFlow runs no other."""
    waiting = [*(output.op for output in graph.outputs), *graph.control_outputs]
    needed: set[tf.Operation] = set()
    while waiting:
        operation = waiting.pop()
        if operation not in needed:
            needed.add(operation)
            waiting += [*(x.op for x in operation.inputs), *operation.control_inputs]
    return needed


def _trace(trainer: Trainer, weights: dict[str, float], losses: Sequence[Loss]) -> tf.Graph:
    batch_size, networks = trainer.batch_size, trainer.networks
    images = tf.TensorSpec((batch_size, *networks.image_shape))
    latents, factors = tf.TensorSpec((batch_size, networks.latent_dim)), tf.TensorSpec(batch_size)

    @tf.function(autograph=False)
    def differentiate(x: tf.Tensor, z: tf.Tensor, t: tf.Tensor) -> Any:
        return trainer.differentiate(x, z, weights, t, losses)

    with fixed_stage(0):
        return differentiate.get_concrete_function(images, latents, factors).graph


def _is_conv(operation: tf.Operation) -> bool:
    return operation.type in ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")


def _is_product(operation: tf.Operation) -> bool:
    """Whether it multiplies matrices; a product with a vector of ones is a sum."""
    constants = (factor for factor in operation.inputs if factor.op.type in ("Const", "Fill"))
    return operation.type == "MatMul" and not any(1 in factor.shape for factor in constants)


def _smaller_end(operation: tf.Operation) -> tf.Tensor:
    """The feature maps (batch, height, width, channels) at the end with fewer pixels."""
    return operation.outputs[0] if operation.type == "Conv2D" else operation.inputs[2]


def _batch_size(operation: tf.Operation) -> int:
    return _smaller_end(operation).shape[0]


def _shape(operation: tf.Operation) -> Convolution:
    _, size, _, outputs = _smaller_end(operation).shape
    is_kernel_gradient = operation.type == "Conv2DBackpropFilter"
    kernel = operation.outputs[0] if is_kernel_gradient else operation.inputs[1]
    _, kernel_size, inputs, _ = kernel.shape
    stride = operation.get_attr("strides")[1]
    return Convolution(stride * size, stride, kernel_size, inputs, outputs)


def _product_flops(operation: tf.Operation) -> int:
    rows, columns = operation.outputs[0].shape
    inner = operation.inputs[0].shape[0 if operation.get_attr("transpose_a") else 1]
    return 2 * rows * columns * inner
