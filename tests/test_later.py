"""The authors' later code: its networks and its options, against numbers recorded from it."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from config import Config
from models.latent import differential_entropy
from tests.test_golden import real_images, relative_error, with_prefix
from train.methods import make_trainer
from train.penalties import r1_penalty
from train.step import Trainer

RECORDED = dict(np.load(Path(__file__).parent / "recorded" / "dlsgan_later.npz"))
MODES = {"mse": "squared_error", "logvar": "gaussian"}
SHORT = {"adv": "adversarial", "logvar": "log_variance", "act": "bias", "bias": "colour"}


pytestmark = pytest.mark.usefixtures("untraced")


def configure(recorded, encoder_loss, **train):
    return Config.model_validate(
        {
            "experiment": {"name": "later"},
            "data": {"source": "digits", "resolution": recorded["res"]},
            "latent": {
                "dim": recorded["dz"],
                "dynamic_scale": not recorded["baseline"],
                "variance": "running",
                "variance_decay": recorded["decay"],
            },
            "model": {
                "backbone": "dlsgan_later",
                "style_units": recorded["hidden"],
                "mapper_layers": 1,
                "gain": 1.0,
                "base_channels": recorded["C0"],
                "synthesis_channels": recorded["filters"][::-1],
                "discriminator_channels": recorded["filters"],
            },
            "train": {
                "batch_size": recorded["B"],
                "learning_rate": recorded["lr"],
                "mapper_learning_rate_multiplier": 1.0,
                "beta_1": float(recorded["beta1"]),
                "beta_2": recorded["beta2"],
                "weight_decay": recorded["weight_decay"],
                "r1_weight": recorded["reg_w"],
                "encoder_loss": encoder_loss,
                "updates": "alternating",
                "loss_reduction": "mean",
                "average_decay": recorded["ema"],
                "precision": "float32",
            }
            | train,
            "evaluate": {"features": "none"},
        }
    )


def variables_by_name(networks):
    """{recorded name: variable}; the recorded generator is mapper and synthesis."""
    mapper, synthesis, discriminator = networks
    names = {}
    for part, models in (("generator", (mapper, synthesis)), ("discriminator", (discriminator,))):
        layers = {layer.name: layer for model in models for layer in model.layers}
        for name in layers_of(part):
            first, _, size = name.partition(".")
            ours = SHORT.get(first, first)
            ours = f"{size}_{ours}" if size else ours.replace("dense0", "dense_0")
            layer = layers[ours.replace("dense1", "dense_1")] if ours != "log_variance" else None
            layer = layer or layers.get("log_variance")
            for kind, attribute in (("w", "kernel"), ("b", "bias")):
                key = f"{part}/{name}.{kind}" if name != "bias" else f"{part}/bias"
                if layer and f"weights/{key}" in RECORDED and hasattr(layer, attribute):
                    names[key] = getattr(layer, attribute)
    return names


def layers_of(part):
    """The names of recorded layers, without .w and .b."""
    names = with_prefix(RECORDED, f"weights/{part}/")
    return {name.removesuffix(".w").removesuffix(".b") for name in names}


def distance(values, expected, start):
    """How far from the recorded change of the weights our change is, relative to it."""
    moved = [expected[name].ravel() - start[name].ravel() for name in values]
    wrong = [np.ravel(values[name]) - expected[name].ravel() for name in values]
    return np.linalg.norm(np.concatenate(wrong)) / np.linalg.norm(np.concatenate(moved))


def assign_initial_weights(trainer):
    """The trainer's variables by their recorded names, with the recorded initial values."""
    variables = variables_by_name(trainer.networks)
    assert len(variables) == sum(len(m.weights) for m in trainer.networks)
    for name, variable in variables.items():
        variable.assign(RECORDED[f"weights/{name}"].reshape(variable.shape))
    trainer.averages.start()
    return variables


@pytest.fixture(params=MODES)
def later(request):
    """(mode, trainer in the recorded initial state, its variables by their recorded names)."""
    recorded = json.loads(str(RECORDED[f"{request.param}/config"]))
    trainer = Trainer(configure(recorded, MODES[request.param]), None)
    variables = assign_initial_weights(trainer)
    np.testing.assert_allclose(trainer.variance(), [1e-4] * 6)
    trainer.variance_window.assign(RECORDED["variance_trace"][None])
    return request.param, trainer, variables


def test_forward_quantities(later):
    mode, trainer, _ = later
    networks, scale = trainer.networks, trainer.scale()
    fake = networks.generate(RECORDED["latents"][0, 0], scale)
    fake_adversarial, recovered, *log_variances = networks.discriminate(fake)
    real = tf.constant(real_images(RECORDED, 0))
    with tf.GradientTape() as tape:
        tape.watch(real)
        real_adversarial, real_latents, *_ = networks.discriminate(real)
    computed = {
        "fake_images": fake,
        "fake_adversarial": fake_adversarial,
        "recovered_latents": recovered,
        "real_adversarial": real_adversarial,
        "real_latents": real_latents,
        "real_gradient": tape.gradient(real_adversarial, real),
    }
    assert len(log_variances) == (mode == "logvar")
    computed |= dict(zip(["recovered_logvars"], log_variances, strict=False))
    errors = {k: relative_error(value, RECORDED[f"mse/{k}"]) for k, value in computed.items()}
    assert max(errors.values()) < 1e-5, errors
    assert relative_error(scale, RECORDED["scale"][0]) < 1e-6
    entropy = float(differential_entropy(scale, "normal"))
    assert entropy == pytest.approx(float(RECORDED["entropy"]), rel=1e-5)
    assert float(r1_penalty(computed["real_gradient"]).numpy().mean()) == pytest.approx(
        float(RECORDED[f"{mode}/metrics/reg_loss"][0]), rel=1e-4
    )


def test_three_training_steps(later):
    mode, trainer, variables = later
    averages = variables_by_name(trainer.averages.networks)
    start = {name: variable.numpy() for name, variable in variables.items()}
    losses, penalties = [], []
    for step in range(3):
        latents = RECORDED["latents"][step].reshape(8, 6)  # of D's pass and of G's
        statistics = trainer.train_step(real_images(RECORDED, step), latents)
        losses.append(float(statistics["encoder_loss"]))
        penalties.append(float(statistics["r1_penalty"]))
        for kind, ours, tolerance in (("after", variables, 1e-4), ("ema", averages, 1e-3)):
            recorded = with_prefix(RECORDED, f"{mode}/{kind}_{step + 1}/")
            if recorded:
                assert distance(ours, recorded_like(ours, recorded), start) < tolerance, kind
        if trace := with_prefix(RECORDED, f"{mode}/variance_trace_after_{step + 1}"):
            np.testing.assert_allclose(trainer.variance(), trace[""], rtol=1e-4)
    np.testing.assert_allclose(losses, RECORDED[f"{mode}/metrics/enc_loss"], rtol=1e-4)
    np.testing.assert_allclose(penalties, RECORDED[f"{mode}/metrics/reg_loss"], rtol=1e-4)


def recorded_like(variables, recorded):
    return {name: recorded[name].reshape(v.shape) for name, v in variables.items()}


@pytest.mark.parametrize(
    ("mode", "encoder_loss", "losses"),
    [
        ("baseline", "squared_error", [1.915518, 1.059274, 1.598426]),
        ("baseline_logvar", "gaussian", [2.079112, 1.140422, 1.677321]),
    ],
)
def test_three_steps_of_their_baseline(mode, encoder_loss, losses):
    """An encoder for a frozen generator: `train.method` post_hoc_encoder."""
    recorded = json.loads(str(RECORDED[f"{mode}/config"]))
    method = {"method": "post_hoc_encoder", "from_run": "gan"}
    trainer = make_trainer(configure(recorded, encoder_loss, **method), None)
    variables = assign_initial_weights(trainer)
    averages = variables_by_name(trainer.averages.networks)
    start = {name: variable.numpy() for name, variable in variables.items()}
    for step, expected in enumerate(losses):
        statistics = trainer.train_step(real_images(RECORDED, step), RECORDED["latents"][step, 0])
        assert float(statistics["encoder_loss"]) == pytest.approx(expected, abs=1e-6)
        assert RECORDED[f"{mode}/metrics/enc_loss"][step] == pytest.approx(expected, abs=1e-6)
    for kind, ours, tolerance in (("after", variables, 1e-4), ("ema", averages, 1e-3)):
        expected = with_prefix(RECORDED, f"{mode}/{kind}_3/")
        if not expected:  # one of the two has no averages
            continue
        encoder = {name: ours[name] for name in expected if name in ours}
        assert len(encoder) == len(trainer.networks.discriminator.weights)
        assert distance(encoder, recorded_like(encoder, expected), start) < tolerance, kind
        for name, variable in encoder.items():
            wrong = np.abs(variable.numpy() - expected[name].reshape(variable.shape)).max()
            assert wrong < 2e-6, name
        for name in ("discriminator/adv.w", "discriminator/adv.b", *start.keys() - encoder.keys()):
            np.testing.assert_array_equal(ours[name], start[name])
