"""The training step: which loss updates which weights, and that a checkpoint holds its state."""

import numpy as np
import pytest
import tensorflow as tf

from config import UserError
from models.reference.weights import to_arrays
from tests.conftest import SMALLEST
from train.step import Trainer


@pytest.fixture
def make_config(make_config):
    return lambda **changes: make_config(**SMALLEST | changes)


pytestmark = pytest.mark.usefixtures("untraced")


@pytest.fixture
def batch():
    return np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "run", ["normal_dls_dg", "uniform_dls_d", "uniform_mse_dg", "normal_mse_d"]
)
def test_two_steps_change_every_weight(make_config, batch, run):
    trainer = Trainer(make_config(), run)
    before = to_arrays(trainer.networks)
    statistics = [trainer.train_step(batch) for _ in range(2)]
    assert np.all(np.isfinite([list(map(float, values.values())) for values in statistics]))
    after = to_arrays(trainer.networks)
    assert [name for name in before if np.array_equal(before[name], after[name])] == []


def test_scale_is_one_without_dynamic_scale(make_config, batch):
    trainer = Trainer(make_config(), "normal_mse_d")
    trainer.train_step(batch)
    assert np.ptp(trainer.variance()) > 0
    np.testing.assert_array_equal(trainer.scale(), np.ones(6))
    dynamic = Trainer(make_config(), "normal_dls_d")
    dynamic.train_step(batch)
    assert np.ptp(dynamic.scale()) > 0


def test_the_window_holds_the_latest_mean_squares(make_config, batch):
    trainer = Trainer(make_config(), "normal_dls_d")
    latents = trainer.sample_latents(4, trainer.random)
    fake = trainer.networks.generate(latents, trainer.scale())
    expected = np.mean(np.square(trainer.networks.encode(fake)), axis=0)
    trainer.train_step(batch, latents)
    window = trainer.variance_window.numpy()
    np.testing.assert_array_equal(window[:-1], 1.0)
    np.testing.assert_allclose(window[-1], expected, rtol=1e-4)


@pytest.mark.parametrize(("run", "changes"), [("normal_dls_d", False), ("normal_dls_dg", True)])
def test_only_dg_trains_the_generator_on_the_encoder_loss(make_config, batch, run, changes):
    """Adam follows the sign of a first gradient, so weights differ only where signs do."""
    generators = []
    for weight in (0.0, 100.0):
        trainer = Trainer(make_config(**{"train.encoder_weight": weight}), run)
        trainer.train_step(batch, np.ones((4, 6), np.float32))
        generators.append(trainer.networks.synthesis.get_layer("8_conv").kernel.numpy())
    assert np.array_equal(*generators) != changes


def test_gradients_are_those_of_the_sum_over_the_batch(make_config, batch):
    """Every image twice gives twice the gradient, and four times Adam's second moment."""
    moments = []
    for repeats in (1, 2):
        trainer = Trainer(make_config(), "normal_mse_dg")
        latents = np.tile(np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6), (repeats, 1))
        trainer.train_step(np.tile(batch, (repeats, 1, 1, 1)), latents)
        moments.append(np.concatenate([np.ravel(v) for v in trainer.optimizer._velocities]))
    np.testing.assert_allclose(moments[1].sum() / moments[0].sum(), 4.0, rtol=1e-3)


def test_a_seed_decides_everything(make_config, batch):
    def run(seed):
        trainer = Trainer(make_config(), "uniform_dls_dg", seed)
        return [float(trainer.train_step(batch)["encoder_loss"]) for _ in range(2)]

    first = run(3)
    assert run(3) == first
    assert run(4) != first


def test_learning_rates_decay_and_the_mapper_is_slower(make_config, batch):
    """Adam's first step without beta_1 is the learning rate, whatever the gradient."""
    trainer = Trainer(make_config(), "normal_dls_d")
    trainer.set_epoch(2)
    rate = 0.003 * 0.98**2
    assert trainer.learning_rate == pytest.approx(rate)
    before = to_arrays(trainer.networks)
    trainer.train_step(batch)
    after = to_arrays(trainer.networks)
    for network, expected in (
        ("mapper", 0.01 * rate),
        ("synthesis", rate),
        ("discriminator", rate),
    ):
        changes = [
            np.median(np.abs(after[name] - before[name]))
            for name in before
            if name.startswith(network) and name.endswith(".w")
        ]
        assert np.median(changes) == pytest.approx(expected, rel=0.01)


def test_a_checkpoint_goes_on_exactly(make_config, batch, tmp_path):
    """It holds the loss scale, and the number of steps, on which lazy R1 depends."""
    config = make_config(**{"train.precision": "mixed_float16"})
    trainer = Trainer(config, "normal_dls_dg")
    trainer.optimizer.dynamic_scale.assign(64.0)
    trainer.train_step(batch)
    path = tf.train.Checkpoint(**trainer.state()).write(str(tmp_path / "checkpoint"))

    def two_steps(trainer):
        rows = [trainer.train_step(batch) for _ in range(2)]
        return [{name: float(value) for name, value in row.items()} for row in rows]

    expected = two_steps(trainer)
    other = Trainer(config, "normal_dls_dg", seed=9)
    tf.train.Checkpoint(**other.state()).read(path).assert_consumed()
    assert int(other.optimizer.iterations) == 1
    assert two_steps(other) == expected
    assert float(other.optimizer.dynamic_scale) == 64.0
    np.testing.assert_array_equal(other.variance_window, trainer.variance_window)


def test_unknown_run(make_config):
    with pytest.raises(UserError, match=r"unknown run.*normal_dls_dg.*Received: normal_dls"):
        Trainer(make_config(), "normal_dls")
