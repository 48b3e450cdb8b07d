"""Operations counted from the graph of a training step against values computed by hand."""

from collections import Counter

import pytest
import tensorflow as tf

from config import load
from models.layers import EqualizedConv2D, EqualizedDense
from tests.conftest import SMALLEST
from train.flops import Convolution, graph_convolutions, graph_flops, step_flops, step_graphs
from train.step import Trainer

# The networks of the smallest config: 8x8 pixels, d_z = 6, 8 style units.
SYNTHESIS = [
    Convolution(4, 1, 3, 8, 8),  # 4_conv
    Convolution(4, 1, 1, 8, 3),  # 4_to_rgb
    Convolution(8, 2, 3, 4, 8),  # 8_up: transposed, so that its inputs are the "outputs"
    Convolution(8, 1, 3, 4, 4),  # 8_conv
    Convolution(8, 1, 1, 4, 3),  # 8_to_rgb
]
FROM_RGB = Convolution(8, 1, 1, 3, 4)
DISCRIMINATOR = [
    FROM_RGB,
    Convolution(8, 1, 3, 4, 4),  # 8_conv
    Convolution(8, 2, 3, 4, 8),  # 8_down
    Convolution(4, 1, 1, 4, 8),  # 8_skip, after a filter with stride 2
    Convolution(4, 1, 3, 8, 8),  # 4_conv
]
SYNTHESIS_FLOPS = 2 * (16 * 9 * 8 * 8 + 16 * 8 * 3 + 16 * 9 * 4 * 8 + 64 * 9 * 4 * 4 + 64 * 4 * 3)
FROM_RGB_FLOPS = 2 * 64 * 3 * 4
OTHER_FLOPS = 2 * (64 * 9 * 4 * 4 + 16 * 9 * 4 * 8 + 16 * 4 * 8 + 16 * 9 * 8 * 8)
# The latents need no gradient. All style layers of the synthesis network together: 8 to 32.
GENERATOR_PRODUCTS = 2 * (2 * 6 * 8 + 3 * 8 * 8 + 3 * 8 * (8 + 8 + 8 + 4 + 4))
DENSE, ADVERSARIAL, LATENT = 2 * 128 * 8, 2 * 8 * 1, 2 * 8 * 6
FLOPS_WITHOUT_R1 = (
    3 * SYNTHESIS_FLOPS
    + (7 - 2) * FROM_RGB_FLOPS  # G trains through the image gradient; D itself needs none
    + 7 * OTHER_FLOPS
    + GENERATOR_PRODUCTS
    + 7 * (DENSE + ADVERSARIAL)
    + 4 * LATENT  # of generated images alone
)
# The pass with tangents, which ends before the adversarial value, and the gradient of the images.
FLOPS_OF_R1 = 2 * FROM_RGB_FLOPS + OTHER_FLOPS + DENSE
# Without `carry_gradient`. The penalty begins with a constant, the gradient of the adversarial
# value by itself.
FLOPS_OF_R1_BY_AUTODIFF = 3 * (FROM_RGB_FLOPS + OTHER_FLOPS + DENSE) + 2 * ADVERSARIAL


def reverse(convolution):
    """The convolution from outputs to inputs: the gradient of `models.operations.convolve`.

    With stride 2 the gradient is TensorFlow's own, which keeps the shape of the kernel.
    """
    if convolution.stride == 2:
        return convolution
    return convolution._replace(inputs=convolution.outputs, outputs=convolution.inputs)


def expected_convolutions(with_r1, by_autodiff=False):
    """How often a step computes each convolution, by Algorithm 1 and the rules of gradients."""
    counts = Counter()
    for layer in SYNTHESIS:
        counts[layer] += 2  # forward, and the gradient of the kernel
        counts[reverse(layer)] += 1  # the gradient of the input
    for layer in DISCRIMINATOR:
        needs_gradient = layer != FROM_RGB  # with respect to the input, to train D
        counts[layer] += 2 + 2  # generated and real images: forward, kernel
        counts[reverse(layer)] += 1 + 2 * needs_gradient  # one of them to train G
        if with_r1 and by_autodiff:
            counts[reverse(layer)] += 1  # the gradient that is penalised
            counts[layer] += 1  # the gradient of this gradient: with respect to its input
            counts[reverse(layer)] += 1  # and with respect to the kernel
        elif with_r1:
            counts[layer] += 1  # the pass with tangents
            # The gradient of the images belongs to R1, and of the kernel TensorFlow computes that
            # of the convolution backwards.
            counts[reverse(layer)] += not needs_gradient
            counts[layer] -= 1
            counts[reverse(layer)] += 1
    return counts


def trace(function, *shapes):
    """The graph of a function of float32 tensors."""
    specs = [tf.TensorSpec(shape) for shape in shapes]
    return tf.function(function, autograph=False).get_concrete_function(*specs).graph


@pytest.mark.parametrize(
    ("changes", "discriminator_passes"),
    [
        ({}, 8 * 5 - 1),  # of generated images, the discriminator itself needs no image gradient
        ({"train.precision": "mixed_float16"}, 10 * 5 - 2),
        ({"train.r1_weight": 0.0}, 7 * 5 - 2),
    ],
)
def test_a_step_computes_what_algorithm_1_needs_and_nothing_else(
    make_config, changes, discriminator_passes
):
    trainer = Trainer(make_config(**SMALLEST | changes), "normal_dls_dg")
    with_r1 = trainer.train_config.r1_weight > 0
    by_autodiff = trainer.train_config.precision == "mixed_float16"
    expected = expected_convolutions(with_r1, by_autodiff)
    assert expected.total() == 3 * 5 + discriminator_passes
    (counted,) = step_graphs(trainer)
    batch = tf.TensorSpec((4, 8, 8, 3))
    computed = trainer.train_step.get_concrete_function(batch).graph
    flops = FLOPS_WITHOUT_R1
    if with_r1:
        flops += FLOPS_OF_R1_BY_AUTODIFF if by_autodiff else FLOPS_OF_R1
    for graph in (counted, computed):
        assert Counter(graph_convolutions(graph)) == expected
        assert graph_flops(graph) == 4 * flops
    assert step_flops(trainer) == flops


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_lazy_r1_counts_in_one_of_k_steps(make_config, precision):
    changes = {"train.r1_interval": 4, "train.precision": precision}
    trainer = Trainer(make_config(**SMALLEST | changes), "normal_dls_dg")
    by_autodiff = precision == "mixed_float16"
    counts = [expected_convolutions(r1, by_autodiff) for r1 in (True, False, False, False)]
    assert [Counter(graph_convolutions(graph)) for graph in step_graphs(trainer)] == counts
    flops_of_r1 = FLOPS_OF_R1_BY_AUTODIFF if by_autodiff else FLOPS_OF_R1
    assert step_flops(trainer) == FLOPS_WITHOUT_R1 + flops_of_r1 / 4


@pytest.mark.parametrize(
    ("layer", "convolution", "flops"),
    [
        (EqualizedConv2D(5, 3), Convolution(8, 1, 3, 2, 5), 2 * 64 * 9 * 2 * 5),
        (EqualizedConv2D(5, 3, downsample=True), Convolution(8, 2, 3, 2, 5), 2 * 16 * 9 * 2 * 5),
        (EqualizedConv2D(5, 1, downsample=True), Convolution(4, 1, 1, 2, 5), 2 * 16 * 2 * 5),
    ],
)
def test_passes_of_a_convolution(layer, convolution, flops):
    """Forward, kernel and input take the same. What a result does not need is not counted."""
    layer.build((3, 8, 8, 2))
    passes = {"forward": convolution, "input": reverse(convolution), "kernel": convolution}
    for names in (["forward"], ["input"], ["kernel"], ["forward", "input", "kernel"]):
        graph = trace(lambda images, names=names: select_passes(layer, images, names), (3, 8, 8, 2))
        assert Counter(graph_convolutions(graph)) == Counter(passes[name] for name in names)
        assert graph_flops(graph) == 3 * flops * len(names)


def select_passes(layer, inputs, names):
    """Some of the results of a linear layer: forward, gradients of input and of kernel."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
    gradients = tape.gradient(outputs, {"input": inputs, "kernel": layer.kernel.value})
    return [({"forward": outputs} | gradients)[name] for name in names]


def test_passes_of_a_matrix_product():
    layer = EqualizedDense(5)
    layer.build((3, 7))
    for names in (["forward"], ["input"], ["kernel"], ["forward", "input", "kernel"]):
        graph = trace(lambda inputs, names=names: select_passes(layer, inputs, names), (3, 7))
        assert list(graph_convolutions(graph)) == []
        assert graph_flops(graph) == 3 * 2 * 7 * 5 * len(names)


@pytest.mark.long
def test_operations_of_the_paper():
    config = load("configs/celeba128.yaml", ["train.r1_interval=16"])
    trainer = Trainer(config, "normal_dls_dg")
    networks = trainer.networks
    graphs = [
        trace(networks.mapper, (1, 512)),
        trace(networks.synthesis, (1, 512)),
        trace(networks.discriminator, (1, 128, 128, 3)),
    ]
    _, in_synthesis, in_discriminator = (Counter(graph_convolutions(graph)) for graph in graphs)
    first, up = Convolution(4, 1, 3, 512, 512), Convolution(8, 2, 3, 512, 512)
    last, down = Convolution(128, 1, 1, 64, 3), Convolution(128, 2, 3, 64, 128)
    assert first.flops == up.flops == 2 * 16 * 9 * 512 * 512
    assert down.flops == 2 * 64 * 64 * 9 * 64 * 128
    assert (in_synthesis[first], in_synthesis[up], in_synthesis[last]) == (1, 1, 1)
    assert in_discriminator[down] == 1
    each = [graph_flops(graph) for graph in graphs]
    assert each[0] == 8 * 2 * 512 * 512
    assert each == pytest.approx([0.004e9, 7.417e9, 7.657e9], abs=0.001e9)
    with_r1 = graph_flops(step_graphs(trainer)[0]) / 16  # images of a batch
    image_gradient, adversarial = 2 * 128 * 128 * 3 * 64, 2 * 512 * 1
    latent = first_dense = 2 * 512 * 512
    all_passes = 3 * (each[0] + each[1]) + 8 * each[2]
    assert with_r1 == all_passes - first_dense - image_gradient - 4 * latent - adversarial
    without_r1 = with_r1 - (each[2] - latent) + adversarial - image_gradient
    assert step_flops(trainer) == (with_r1 + 15 * without_r1) / 16
