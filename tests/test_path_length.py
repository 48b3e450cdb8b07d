"""The path length penalty: what it adds to the generator's gradients, and its moving mean."""

import numpy as np
import pytest
import tensorflow as tf

from config import Config, UserError, load
from tests.conftest import STYLED, eagerly, merge
from train.choices import due_weights
from train.path_length import MEAN, PENALTY
from train.step import Trainer

WEIGHT, INTERVAL, SEED = 2.0, 4, 3
CONFIG = merge(
    STYLED,
    {
        "data.resolution": 8,
        "train.path_length_weight": WEIGHT,
        "train.path_length_interval": INTERVAL,
    },
)
IMAGES = tf.constant(np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 3)), tf.float32)


def make_trainer(**changes):
    return Trainer(Config.model_validate(merge(CONFIG, changes)), "normal_dls_dg", SEED)


def penalty_of(trainer, latents):
    """Penalties (2,) and the new mean of the first two of four latents, by the formulas."""
    networks, (height, width, _) = trainer.networks, IMAGES.shape[1:]
    seed = tf.random.experimental.stateless_fold_in(tf.constant([SEED, 0]), 0)
    noise = tf.random.stateless_normal((2, height, width, 3), seed)
    with tf.GradientTape() as tape:
        styles = networks.mapper(latents[:2] * trainer.scale())
        tape.watch(styles)
        total = tf.reduce_sum(networks.synthesis(styles) * noise) / (height * width) ** 0.5
    squares = tape.gradient(total, styles) ** 2
    lengths = tf.reduce_mean(tf.reduce_sum(squares, axis=-1), axis=-1) ** 0.5
    mean = 0.99 * trainer.path_length.mean + 0.01 * tf.reduce_mean(lengths)
    return (lengths - mean) ** 2, mean


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_the_penalty_adds_its_own_gradient(precision):
    trainer = make_trainer(**{"train.precision": precision})
    trainer.path_length.mean.assign(0.2)
    if precision == "mixed_float16":
        trainer.optimizer.dynamic_scale.assign(16.0)  # where nothing overflows
    latents = trainer.sample_latents(4, 0)
    weights = due_weights(trainer.penaliser.turns, {})
    assert weights["path_length"] == WEIGHT * INTERVAL
    gradients, means = trainer.differentiate(IMAGES, latents, weights)
    without, unchanged = trainer.differentiate(IMAGES, latents, weights | {"path_length": 0.0})
    variables = trainer.descent.variables_of("generator")
    with tf.GradientTape() as tape:
        penalties, mean = penalty_of(trainer, latents)
        total = len(IMAGES) * WEIGHT * INTERVAL * tf.reduce_mean(penalties)
    expected = tape.gradient(total, [v.value for v in variables], unconnected_gradients="zero")
    factor = float(trainer.optimizer.scale_loss(1.0))
    added = [(after - before) / factor for after, before in zip(
        gradients["generator"], without["generator"], strict=True)]  # fmt: skip
    difference = [a - e for a, e in zip(added, expected, strict=True)]
    tolerance = 1e-4 if precision == "float32" else 2e-2
    assert tf.linalg.global_norm(difference) < tolerance * tf.linalg.global_norm(expected)
    np.testing.assert_allclose(means[PENALTY], tf.reduce_mean(penalties), rtol=tolerance)
    np.testing.assert_allclose(means[MEAN], mean, rtol=tolerance)
    assert (float(unchanged[PENALTY]), float(unchanged[MEAN])) == (0.0, pytest.approx(0.2))


def test_every_fourth_step_has_the_penalty_and_moves_the_mean():
    trainer = make_trainer()
    means, penalties = [], []
    with eagerly():
        for _ in range(INTERVAL + 1):
            penalties.append(float(trainer.train_step(IMAGES)[PENALTY]))
            means.append(float(trainer.path_length.mean))
    assert [penalty > 0 for penalty in penalties] == [True, False, False, False, True]
    assert 0 < means[0] == means[3] < means[4]
    assert MEAN in trainer.state()


@pytest.mark.parametrize("updates", ["simultaneous", "alternating"])
def test_its_turns_follow_the_updates_of_the_generator(updates):
    trainer = make_trainer(**{"train.discriminator_steps": 2, "train.updates": updates})
    images, penalties = tf.concat([IMAGES, IMAGES], axis=0), []
    with eagerly():
        for _ in range(INTERVAL + 1):
            penalties.append(float(trainer.train_step(images)[PENALTY]))
    assert [penalty > 0 for penalty in penalties] == [True, False, False, False, True]


def test_it_needs_styles(config_file):
    with pytest.raises(UserError) as error:
        load(config_file(), ["train.path_length_weight=2"])
    assert str(error.value) == (
        "--set: train.path_length_weight: is about the styles of stylegan, stylegan2, stylegan3_t "
        "or stylegan3_r. Received: 2 with model.backbone dlsgan"
    )
