"""The training step against numbers recorded from the authors' code (TensorFlow 2.6)."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from config import Config
from models.reference.weights import load_arrays, to_arrays
from train.penalties import r1_penalty
from train.step import Trainer

RECORDED = Path(__file__).parent / "recorded"
LEARNING_RATE = 0.001


def configure(recorded):
    return Config.model_validate(
        {
            "experiment": {"name": "golden"},
            "data": {"source": "digits", "resolution": recorded["res"]},
            "latent": {"dim": recorded["dz"], "variance_window": recorded["window"]},
            "model": {
                "style_units": recorded["W"],
                "base_channels": recorded["C0"],
                "synthesis_channels": recorded["GF"],
                "discriminator_channels": recorded["DF"],
            },
            "train": {
                "batch_size": recorded["B"],
                "learning_rate": LEARNING_RATE,
                "precision": "float32",
            },
            "evaluate": {"features": "none"},
        }
    )


@pytest.fixture(params=["normal_dls_dg", "uniform_mse_d"])
def golden(request):
    """(recorded arrays, a trainer in the recorded initial state)."""
    arrays = dict(np.load(RECORDED / f"{request.param}.npz"))
    trainer = Trainer(configure(json.loads(str(arrays["config"]))), request.param)
    load_arrays(trainer.networks, with_prefix(arrays, "weights/"))
    trainer.variance_window.assign(arrays["variance_window"])
    return arrays, trainer


def with_prefix(arrays, prefix):
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def real_images(arrays, step):
    return arrays["real_images"][step].astype(np.float32) / 127.5 - 1.0


def relative_error(value, expected):
    return np.linalg.norm(np.asarray(value) - expected) / np.linalg.norm(expected)


def test_forward_quantities(golden):
    arrays, trainer = golden
    networks, scale = trainer.networks, trainer.scale()
    latents, real = arrays["latents"][0], tf.constant(real_images(arrays, 0))
    fake = networks.generate(latents, scale)
    fake_adversarial, recovered = networks.discriminator(fake)
    with tf.GradientTape() as tape:
        tape.watch(real)
        real_adversarial, real_latents = networks.discriminator(real)
    gradient = tape.gradient(real_adversarial, real)
    computed = {
        "scale": scale,
        "style": networks.mapper(latents * scale),
        "fake_images": fake,
        "fake_adversarial": fake_adversarial,
        "recovered_latents": recovered,
        "real_adversarial": real_adversarial,
        "real_latents": real_latents,
        "real_gradient": gradient,
        "r1_penalty": r1_penalty(gradient),
    }
    errors = {name: relative_error(value, arrays[name]) for name, value in computed.items()}
    assert max(errors.values()) < 1e-4, errors


def test_three_training_steps(golden):
    arrays, trainer = golden
    losses = []
    for step in range(3):
        statistics = trainer.train_step(real_images(arrays, step), arrays["latents"][step])
        losses.append(float(statistics["encoder_loss"]))
        if step == 0:
            assert_same_weights(to_arrays(trainer.networks), with_prefix(arrays, "after_1/"))
    np.testing.assert_allclose(losses, arrays["encoder_losses"], rtol=1e-3)
    assert relative_error(trainer.variance_window, arrays["variance_window_after"]) < 1e-3


def assert_same_weights(weights, expected):
    """Adam's first step is near lr * sign(gradient): a gradient of nearly 0 may go either way."""
    assert set(weights) == set(expected)
    difference = np.concatenate(
        [np.abs(weights[name] - expected[name]).ravel() for name in weights]
    )
    assert np.mean(difference < 1e-5) >= 0.995
    assert difference.max() <= 2.1 * LEARNING_RATE


def test_arrays_round_trip(golden):
    arrays, trainer = golden
    weights = with_prefix(arrays, "weights/")
    returned = to_arrays(trainer.networks)
    assert set(returned) == set(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(returned[name], array, err_msg=name)


def test_arrays_of_another_shape_are_refused(golden):
    arrays, trainer = golden
    weights = with_prefix(arrays, "weights/")
    with pytest.raises(ValueError, match=r"mapper\.0\.w should have shape \(12, 16\).*\(3, 16\)"):
        load_arrays(trainer.networks, weights | {"mapper.0.w": np.zeros((3, 16), np.float32)})
    del weights["synthesis.const"]
    with pytest.raises(ValueError, match=r"synthesis\.const is missing"):
        load_arrays(trainer.networks, weights)
