"""Counted operations against the traced training step, and against hand values."""

from collections import Counter

import pytest
import tensorflow as tf

from config import load
from models import build_networks, flops
from tests.conftest import SMALLEST
from train.step import Trainer

CONVOLUTIONS = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")


def needed_operations(function):
    """Types, and how many of each, of what a traced function computes for its results."""
    graph = function.graph
    waiting = [*(output.op for output in graph.outputs), *graph.control_outputs]
    needed = set()
    while waiting:
        operation = waiting.pop()
        if operation not in needed:
            needed.add(operation)
            waiting += [*(x.op for x in operation.inputs), *operation.control_inputs]
    return Counter(operation.type for operation in needed)


@pytest.mark.parametrize("r1_weight", [1.0, 0.0])
def test_a_step_computes_what_is_counted_and_nothing_else(make_config, r1_weight):
    """But for the gradient by the images, which the first layer of D has for G and for R1 only."""
    trainer = Trainer(make_config(**SMALLEST | {"train.r1_weight": r1_weight}), "normal_dls_dg")
    generator, discriminator = (len(flops.convolutions(n)) for n in trainer.networks[1:])
    assert (generator, discriminator) == (5, 5)
    batch = tf.TensorSpec((4, 8, 8, 3))
    counted = needed_operations(trainer.train_step.get_concrete_function(batch))
    passes = flops.discriminator_passes(trainer.settings)
    assert passes == (10 if r1_weight else 7)
    expected = flops.GENERATOR_PASSES * generator + passes * discriminator - 2
    assert sum(counted[kind] for kind in CONVOLUTIONS) == expected


def test_operations_of_the_paper_by_hand():
    config = load("configs/celeba128.yaml")
    networks = build_networks(config)
    first, *_, last = flops.convolutions(networks.synthesis)
    assert first == (4, 4, 3, 512, 512)
    assert first.flops == 2 * 16 * 9 * 512 * 512
    assert last == (128, 128, 1, 64, 3)
    up, down = (
        next(c for c in flops.convolutions(network) if c.input_size != c.output_size)
        for network in networks[1:]
    )
    assert up == (4, 8, 3, 512, 512)
    assert up.flops == 2 * 16 * 9 * 512 * 512
    assert down == (128, 64, 3, 64, 128)
    assert down.flops == 2 * 64 * 64 * 9 * 64 * 128
    assert flops.forward_flops(networks.mapper) == 8 * 2 * 512 * 512
    each = [flops.forward_flops(network) / 1e9 for network in networks]
    assert each == pytest.approx([0.004, 7.417, 7.657], abs=0.001)
    whole, lazy = (
        flops.step_flops(networks, config.train.model_copy(update={"r1_interval": interval})) / 1e9
        for interval in (1, 16)
    )
    assert whole == pytest.approx(3 * sum(each[:2]) + 10 * each[2], 1e-3)
    assert lazy == pytest.approx(whole - 3 * 15 / 16 * each[2], 1e-3)
