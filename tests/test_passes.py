"""Steps of several forward passes: which images, latents and weights each of them sees."""

import numpy as np
import pytest
import tensorflow as tf

from config.sections import TrainConfig
from models.reference.weights import to_arrays
from tests.conftest import SMALLEST, eagerly, run_in
from train.passes import choose_passes
from train.step import Trainer

STEPS = {"train.discriminator_steps": 2}
D, G = "discriminator", "generator"


@pytest.fixture
def make_config(make_config):
    return lambda **changes: make_config(**SMALLEST | changes)


@pytest.fixture
def arrays():
    """(real images (8, 8, 8, 3), latents (12, 6)) for up to two and three passes."""
    generator = np.random.default_rng(0)
    images = generator.uniform(-1, 1, (8, 8, 8, 3)).astype(np.float32)
    return images, generator.standard_normal((12, 6)).astype(np.float32)


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, [(G, D)]),
        ({"discriminator_steps": 3}, [(D,), (D,), (G, D)]),
        ({"updates": "alternating"}, [(D,), (G,)]),
        ({"updates": "alternating", "discriminator_steps": 2}, [(D,), (D,), (G,)]),
    ],
)
def test_passes(changes, passes):
    assert choose_passes(TrainConfig(**changes)) == passes


@pytest.mark.parametrize("updates", ["simultaneous", "alternating"])
def test_each_pass_has_its_own_images_and_latents_and_the_weights_before_it(
    make_config, arrays, updates
):
    config = make_config(**STEPS | {"train.updates": updates, "train.r1_interval": 2})
    trainer, other = (Trainer(config, "normal_dls_dg") for _ in range(2))
    passes, (x, z) = len(trainer.passes), arrays
    with eagerly():
        statistics = trainer.train_step(x, z[: 4 * passes])
    rows = []
    for number, losses in enumerate(other.passes):
        real = x[4 * number :][:4] if D in losses else x[:4]
        gradients, means = other.differentiate(
            tf.constant(real), z[4 * number :][:4], {"r1": 2.0 * (number == 0)}, losses=losses
        )
        rows.append(means | other.descent.gradient_norms(gradients))
        other.descent.descend(gradients)
    assert [float(row["r1_penalty"]) > 0 for row in rows if "r1_penalty" in row] == [True, False]
    updated = {D: int(other.descent.optimizers[D].iterations), G: 1}
    assert updated == {loss: int(o.iterations) for loss, o in trainer.descent.optimizers.items()}
    assert updated[D] == 2
    expected = to_arrays(other.networks)
    for name, array in to_arrays(trainer.networks).items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
    squares = np.mean([row["recovered_squares"] for row in rows], axis=0)
    np.testing.assert_allclose(trainer.variance_window[-1], squares, rtol=1e-5)
    for name in set(trainer.statistics) - {"recovered_variance"}:
        mean = np.mean([row[name] for row in rows if name in row])
        assert float(statistics[name]) == pytest.approx(mean, rel=1e-4), name
    assert float(statistics["encoder_loss"]) == pytest.approx(float(means["encoder_loss"]))
    assert statistics.keys() == set(trainer.statistics)


def test_an_epoch_has_fewer_steps_and_a_run_goes_on_exactly(make_config, tmp_path):
    """Eleven batches of four are five steps of two; each process takes its part of each batch."""
    changes = STEPS | {"train.updates": "alternating", "data.train_size": 44}
    config = make_config(**changes | {"train.epochs": 2})
    assert Trainer(config, "normal_dls_dg").positions().tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    with eagerly():
        rows = run_in(config, tmp_path / "whole").rows()
        run_in(make_config(**changes | {"train.epochs": 1}), tmp_path / "parts")
        again = run_in(config, tmp_path / "parts").rows()
    assert [(row["step"], row["images_seen"]) for row in rows] == [(5, 40), (10, 80)]
    losses = ("encoder_loss", "discriminator_loss", "generator_loss")
    assert [[row[n] for n in losses] for row in rows] == [[row[n] for n in losses] for row in again]


def test_a_mean_is_the_sum_with_smaller_gradients(make_config, arrays):
    x, z = arrays
    norms = []
    for reduction in ("sum", "mean"):
        trainer = Trainer(make_config(**{"train.loss_reduction": reduction}), "normal_dls_dg")
        with eagerly():
            statistics = trainer.train_step(x[:4], z[:4])
        norms.append([float(statistics[f"{name}_gradient_norm"]) for name in ("synthesis", D)])
    np.testing.assert_allclose(norms[0], 4 * np.array(norms[1]), rtol=1e-5)
