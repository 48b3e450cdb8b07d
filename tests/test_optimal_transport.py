"""Semi-discrete optimal transport, held to numbers recorded from the authors' code."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from train.textures import optimal_transport
from train.textures.optimal_transport import (
    assign,
    averaged_ascent,
    dual_gradient,
    dual_value,
    normalised_ascent,
    stochastic_ascent,
)

RECORDED = Path(__file__).parent / "recorded" / "textures"
TEXTO = dict(np.load(RECORDED / "texto.npz"))
GOTEX = dict(np.load(RECORDED / "gotex.npz"))
POINTS, TARGETS, WEIGHTS = (TEXTO[f"ot/{name}"] for name in ("x", "y", "nu"))
UNIFORM = 1.0 / 12


def test_the_dual_equals_the_linear_programme():
    potentials = TEXTO["ot/lp_potential"]
    value = dual_value(POINTS, TARGETS, potentials, WEIGHTS)
    np.testing.assert_allclose(value, TEXTO["ot/lp_value"], rtol=0, atol=1e-14)
    chosen = assign(POINTS, TARGETS, potentials).numpy()
    assert np.all(TEXTO["ot/lp_plan"][np.arange(60), chosen] > 0)  # in the plan's support


@pytest.mark.parametrize("block_costs", [12, 12 * 7, 12 * 60])
def test_blocks_of_costs_change_nothing(monkeypatch, block_costs):
    whole = assign(POINTS, TARGETS, TEXTO["ot/lp_potential"])
    monkeypatch.setattr(optimal_transport, "_BLOCK_COSTS", block_costs)
    np.testing.assert_array_equal(assign(POINTS, TARGETS, TEXTO["ot/lp_potential"]), whole)


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 100, 20000])
def test_the_stochastic_ascent_takes_the_recorded_way(steps):
    samples = POINTS[TEXTO["ot/sequence"][:steps]]
    potentials = stochastic_ascent([samples[:7], samples[7:]], TARGETS, 1.0, WEIGHTS)
    np.testing.assert_allclose(potentials, TEXTO[f"ot/asgd_{steps}"], rtol=0, atol=1e-13)
    value = dual_value(POINTS, TARGETS, potentials, WEIGHTS)
    np.testing.assert_allclose(value, TEXTO[f"ot/dual_asgd_{steps}"], rtol=0, atol=1e-13)
    if steps == 20000:
        chosen = assign(POINTS, TARGETS, potentials)
        np.testing.assert_array_equal(chosen, TEXTO["ot/assignment_asgd"])


def test_the_mean_cost_of_a_square_case_is_that_of_the_best_permutation():
    points = POINTS[:12]
    square = TEXTO["ot/square_permutation"]
    cost = np.mean(np.sum(np.square(points - TARGETS[square]), axis=1))
    np.testing.assert_allclose(cost, TEXTO["ot/square_value"], rtol=1e-13)
    draws = np.random.default_rng(0).integers(0, 12, 20000)
    potentials = stochastic_ascent([points[draws]], TARGETS, 1.0, np.full(12, UNIFORM))
    value = float(dual_value(points, TARGETS, potentials, UNIFORM))
    assert 0.999 * cost < value <= cost  # weak duality


def test_gotexs_pieces():
    points, targets = GOTEX["sd/x"], GOTEX["sd/y"]
    zeros = tf.zeros(12)
    gradient = -dual_gradient(points, targets, zeros, UNIFORM)
    np.testing.assert_allclose(gradient, GOTEX["sd/gradient_of_minus_loss"], rtol=0, atol=5e-8)
    before = np.concatenate([np.zeros((1, 12), np.float32), GOTEX["sd/psi"][:-1]])
    values = [dual_value(points, targets, psi, UNIFORM) for psi in before]
    np.testing.assert_allclose(values, GOTEX["sd/values"], rtol=0, atol=3e-7)


@pytest.mark.parametrize("steps", range(1, 11))
def test_gotexs_inner_loops_take_the_recorded_steps(steps):
    points, targets = GOTEX["sd/x"], GOTEX["sd/y"]
    average = averaged_ascent(points, targets, tf.zeros(12), steps)
    np.testing.assert_allclose(average, GOTEX["sd/average"][steps - 1], rtol=0, atol=7e-8)
    half = np.float32(0.5**0.5)  # the cost of features is |x - y|^2 / 2
    last = normalised_ascent(half * points, half * targets, tf.zeros(12), steps)
    np.testing.assert_allclose(last, GOTEX["gotex/psi"][steps - 1], rtol=0, atol=5e-7)
