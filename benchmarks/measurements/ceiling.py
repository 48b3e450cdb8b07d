"""The speed of a training step's bare convolutions, its ceiling. See `measure_ceiling`."""

from collections import Counter
from collections.abc import Callable

import keras
import tensorflow as tf

from benchmarks.measurements.compiled import compiled_seconds
from models.operations import convolve
from train.flops import Convolution, graph_convolutions, step_graphs
from train.step import Trainer

_PASSES = 3  # forward, and a gradient with respect to each end

Convolve = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def measure_ceiling(trainer: Trainer) -> float:
    """Operations a second of the step's convolutions alone, those with 1x1 kernels left out.

    It measures each shape of a convolution once, forward and both gradients, in the precision of
    the feature maps. A shape weighs as much as the work that the step does at it.
    """
    work = convolution_work(trainer)
    dtype = keras.dtype_policies.get(trainer.train_config.precision).compute_dtype
    jit_compile = trainer.train_config.jit_compile
    seconds = 0.0
    for shape in sorted(work):
        rate = measure_convolution(shape, trainer.batch_size, dtype, jit_compile)
        seconds += work[shape] / rate
    return sum(work.values()) / seconds


def convolution_work(trainer: Trainer) -> Counter[Convolution]:
    """The operations for one image in the step's graphs, by the shape of their convolutions."""
    work: Counter[Convolution] = Counter()
    for graph in step_graphs(trainer):
        for convolution in graph_convolutions(graph):
            if convolution.kernel_size > 1:
                work[merge_ends(convolution)] += convolution.flops
    return work


def merge_ends(convolution: Convolution) -> Convolution:
    """One shape for both directions of a convolution with stride 1.

    The gradient with respect to the inputs is itself such a convolution with inputs and outputs
    swapped: measured forward and backward, both directions compute the same.
    """
    if convolution.stride > 1:
        return convolution
    inputs, outputs = sorted((convolution.inputs, convolution.outputs))
    return convolution._replace(inputs=inputs, outputs=outputs)


def measure_convolution(
    shape: Convolution, batch_size: int, dtype: str, jit_compile: bool
) -> float:
    """Operations a second of a bare convolution, forward and both gradients.

    The faster one counts: TensorFlow's convolution or `models.operations.convolve`, which has no
    stride. With a stride, the three passes are also those of a transposed convolution.
    """
    size, smaller = shape.size, shape.size // shape.stride
    inputs = _random((batch_size, size, size, shape.inputs), dtype)
    upstream = _random((batch_size, smaller, smaller, shape.outputs), dtype)
    kernel = _random((shape.kernel_size, shape.kernel_size, shape.inputs, shape.outputs), dtype)

    def convolve_with_tensorflow(x: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(x, k, shape.stride, "SAME")

    def measure(forward: Convolve) -> float:
        def forward_and_backward() -> list[tf.Tensor]:
            outputs = forward(inputs, kernel)
            gradients = tf.gradients(outputs, [inputs, kernel], upstream)
            # One number of each tensor: to copy whole tensors is no part of a convolution.
            return [tf.reshape(tensor, [-1])[0] for tensor in (outputs, *gradients)]

        return compiled_seconds(forward_and_backward, jit_compile)

    kinds = [convolve_with_tensorflow] if shape.stride > 1 else [convolve_with_tensorflow, convolve]
    return _PASSES * batch_size * shape.flops / min(map(measure, kinds))


def _random(shape: tuple[int, ...], dtype: str) -> tf.Tensor:
    return tf.cast(tf.random.normal(shape), dtype)
