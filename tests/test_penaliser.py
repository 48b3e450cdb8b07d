"""The penalties that a config chooses: what they add to the gradients, and in which steps."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import SMALLEST, eagerly
from train.choices import due_weights, take_turns
from train.losses import ADVERSARIAL_LOSSES
from train.penalties import r1_penalty
from train.step import Trainer

WEIGHTS = {"r2": 3.0, "wgan_gp": 7.0}


@pytest.fixture
def make_config(make_config):
    return lambda **changes: make_config(**SMALLEST | changes)


@pytest.fixture
def batch():
    return tf.constant(np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 3)).astype(np.float32))


def gradients_with(trainer, batch, weights):
    """(gradients of the discriminator, means) of one step, by the step's own function."""
    latents = trainer.sample_latents(4, 0)
    gradients, means = trainer.differentiate(batch, latents, weights, tf.constant([0, 0.2, 0.9, 1]))
    return gradients["discriminator"], means


@pytest.mark.parametrize(("name", "target"), [("r2", 1.0), ("wgan_gp", 1.0), ("wgan_gp", 0.0)])
def test_a_penalty_adds_its_own_gradient(make_config, batch, name, target):
    changes = {f"train.{name}_weight": WEIGHTS[name], "train.wgan_gp_target": target}
    trainer = Trainer(make_config(**changes), "normal_dls_dg")
    networks = trainer.networks
    variables = [v.value for v in networks.discriminator.trainable_variables]
    weights = due_weights(trainer.penaliser.turns, {})
    none = {"r2": 0.0, "wgan_gp": 0.0, "path_length": 0.0}
    assert weights == {"r1": 1.0} | none | {name: WEIGHTS[name]}
    gradients, means = gradients_with(trainer, batch, weights)
    without, _ = gradients_with(trainer, batch, weights | {name: 0.0})
    fake = networks.generate(trainer.sample_latents(4, 0), trainer.scale())
    factors = np.float32([0, 0.2, 0.9, 1]).reshape(4, 1, 1, 1)
    images = fake if name == "r2" else (1 - factors) * batch + factors * fake
    with tf.GradientTape() as tape:
        with tf.GradientTape() as inner:
            inner.watch(images)
            adversarial = networks.discriminate(images)[0]
        squares = r1_penalty(inner.gradient(adversarial, images))
        values = squares if name == "r2" else (squares**0.5 - target) ** 2
        total = WEIGHTS[name] * tf.reduce_sum(values)
    added = tape.gradient(total, variables, unconnected_gradients="zero")
    for gradient, before, expected in zip(gradients, without, added, strict=True):
        assert np.linalg.norm(gradient - before - expected) <= 1e-4 * max(
            np.linalg.norm(gradient), 1e-3
        )
    np.testing.assert_allclose(means[f"{name}_penalty"], np.mean(values), rtol=1e-4)
    assert f"{name}_penalty" in trainer.statistics


def test_each_penalty_has_its_own_interval(make_config):
    changes = {"train.r1_interval": 2, "train.wgan_gp_weight": 5.0, "train.wgan_gp_interval": 3}
    trainer = Trainer(make_config(**changes | {"train.r2_weight": 0.5}), "normal_dls_dg")

    def weights_of(step):
        weights = take_turns(
            trainer.penaliser.turns, tf.constant(step), lambda w: tf.constant([*w.values()])
        )
        return weights.numpy().tolist()

    r1, r2, wgan_gp, _ = zip(*map(weights_of, range(7)), strict=True)
    assert r1 == (2, 0, 2, 0, 2, 0, 2)
    assert r2 == (0.5,) * 7
    assert wgan_gp == (15, 0, 0, 15, 0, 0, 15)


def test_mixing_factors_are_new_in_each_step_and_those_of_the_seed(make_config):
    config = make_config(**{"train.wgan_gp_weight": 5.0})
    trainer = Trainer(config, "normal_dls_dg", seed=3)
    first = trainer.penaliser.mixing_factors().numpy()
    assert first.shape == (4,)
    assert np.all((first >= 0) & (first < 1))
    trainer.optimizer.iterations.assign(1)
    assert not np.any(trainer.penaliser.mixing_factors() == first)
    again = Trainer(config, "normal_dls_dg", seed=3).penaliser.mixing_factors()
    np.testing.assert_array_equal(again, first)


def test_clipped_weights_are_all_but_the_encoders_head(make_config, batch):
    trainer = Trainer(make_config(**{"train.weight_clip": 0.5}), "normal_dls_dg")
    with eagerly():
        trainer.train_step(batch)
    for layer in trainer.networks.discriminator.layers:
        for variable in layer.trainable_variables:
            largest = np.abs(variable).max()
            assert largest > 0.5 if variable.path == "latent/kernel" else largest <= 0.5
    assert np.abs(trainer.networks.synthesis.get_layer("8_conv").kernel).max() > 0.5


@pytest.mark.parametrize("loss", ADVERSARIAL_LOSSES)
def test_every_loss_trains_in_float16_as_in_float32(make_config, batch, loss):
    """With R1, WGAN-GP and drift."""
    changes = {"train.adversarial_loss": loss, "train.drift_weight": 0.001}
    changes |= {"train.wgan_gp_weight": 1.0}
    narrow = Trainer(make_config(**changes | {"train.precision": "mixed_float16"}), "normal_dls_dg")
    narrow.optimizer.dynamic_scale.assign(4.0)
    rows = []
    with eagerly():
        for trainer in (Trainer(make_config(**changes), "normal_dls_dg"), narrow):
            rows.append(trainer.train_step(batch, np.ones((4, 6), np.float32)))
            assert int(trainer.optimizer.iterations) == 1
            assert rows[-1].keys() == set(trainer.statistics)
    for name, value in rows[0].items():
        if name != "loss_scale":
            assert float(rows[1][name]) == pytest.approx(float(value), rel=0.06, abs=0.01), name
