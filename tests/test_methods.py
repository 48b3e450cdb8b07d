"""BiGAN, ALI and InfoGAN: their losses by formula, and steps on the digits."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from config import Config, load
from evaluate.trained_run import TrainedRun
from models.joint import encoder_of, pairs_of
from tests.conftest import SMALLEST, TINY, forget_last_epoch, merge, run_in
from tests.survival import final_state, states_are_equal
from tests.test_config import error_of
from train.losses import encoder_loss
from train.methods import make_trainer
from train.methods.infogan import information_loss, log_likelihood
from train.methods.joint import joint_losses
from train.step import Trainer

RECORDED = dict(np.load(Path(__file__).parent / "recorded" / "methods.npz"))
INFOGAN = {"train.infogan_codes": 2, "train.infogan_std": "learned", "train.encoder_weight": 0.1}
PAIRS_OF = {"bigan": "joint", "ali": "ali"}  # the files that call D
METHODS = {"bigan": {}, "ali": {}, "infogan": INFOGAN}


pytestmark = pytest.mark.usefixtures("untraced")


def configure(method, **changes):
    """The smallest config of a method, 2 steps an epoch, 2 epochs."""
    keys = {"data.train_size": 8, "latent.dynamic_scale": False, "train.method": method}
    return Config.model_validate(merge(TINY, SMALLEST | keys | METHODS.get(method, {}) | changes))


def images(count=4, size=8):
    random = np.random.default_rng(0)
    return random.uniform(-1, 1, (count, size, size, 3)).astype(np.float32)


@pytest.mark.parametrize(("method", "factor"), [("ali", 1.0), ("bigan", 0.5)])
def test_joint_losses_by_formula(method, factor):
    """One set of logits serves both."""
    logits = RECORDED["ali/data_logits"], RECORDED["ali/sample_logits"]
    d_loss, ge_loss = (np.mean(loss) for loss in joint_losses(*logits, factor))
    assert d_loss == pytest.approx(RECORDED[f"{method}/discriminator_loss"], abs=1e-6)
    assert ge_loss == pytest.approx(RECORDED[f"{method}/generator_encoder_loss"], abs=1e-6)


def test_infogan_by_formula():
    codes, means, log_variances = (
        RECORDED[f"infogan/{name}"] for name in ("code", "mean", "raw_log_variance")
    )
    likelihood = log_likelihood(codes, means, log_variances)
    np.testing.assert_allclose(likelihood, RECORDED["infogan/log_likelihood"], rtol=1e-6)
    z, recovered, wide = (
        np.hstack([values, np.full((5, 3), other, np.float32)])  # elements that are no codes
        for values, other in ((codes, 9.0), (means, 0.0), (log_variances, 7.0))
    )
    for name, options in (("", [wide]), ("_fixed_std", [])):
        loss = np.mean(information_loss(z, recovered, 1.0, *options, codes=4))
        assert -loss == pytest.approx(RECORDED[f"infogan/mutual_information{name}"], abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_step_trains_every_variable_with_finite_losses(method):
    trainer = make_trainer(configure(method), None)
    variables = [v for part in trainer.networks.parts().values() for v in part.trainable_variables]
    grouped = [v for group in trainer.parameter_groups for v in group.variables]
    assert sorted(map(id, variables)) == sorted(map(id, grouped))
    before = [variable.numpy() for variable in variables]
    for _ in range(2):
        statistics = trainer.train_step(images())
    assert set(statistics) == set(trainer.statistics)
    assert all(np.isfinite(value) for value in statistics.values())
    for variable, value in zip(variables, before, strict=True):
        assert not np.array_equal(variable, value), variable.path


@pytest.mark.parametrize("method", ["bigan", "ali"])
def test_gradients_reach_the_encoder_through_latents_and_the_generator_through_images(method):
    """Checked against the losses without R1's second derivatives, of the same pairs."""
    trainer = make_trainer(configure(method), None)
    x, z = tf.constant(images()), trainer.sample_latents(4, 1)
    networks, factor = trainer.networks, {"bigan": 0.5, "ali": 1.0}[method]
    encoder, pairs = encoder_of(networks), pairs_of(networks)
    with tf.GradientTape() as tape:
        fake, inferred = networks.generate(z, trainer.scale()), trainer.infer(x)
        p, q = pairs([x, inferred]), pairs([fake, z])
        loss = factor * tf.reduce_sum(tf.math.softplus(p) + tf.math.softplus(-q))
    watched = [v.value for part in (networks.synthesis, encoder) for v in part.trainable_variables]
    expected = tape.gradient(loss, watched)
    gradients, means = trainer.differentiate(x, z, {"r1": 1.0})
    ours = gradients["generator"][-len(watched) :]
    for gradient, correct in zip(ours, expected, strict=True):
        np.testing.assert_allclose(gradient, correct, rtol=1e-3, atol=1e-4)
    with tf.GradientTape() as tape:
        tape.watch(x)
        p = pairs([x, tf.stop_gradient(inferred)])
    slopes = tape.gradient(p, x)
    r1 = np.mean(np.sum(np.square(slopes), axis=(1, 2, 3)))
    assert float(means["r1_penalty"]) == pytest.approx(r1, rel=1e-4)
    recovered = networks.encode(fake)
    l_enc = np.mean(encoder_loss(z, recovered, trainer.scale()))
    assert float(means["encoder_loss"]) == pytest.approx(l_enc, rel=1e-4)


def test_ali_judges_data_and_samples_in_one_batch(monkeypatch):
    sizes = {}
    for method in ("bigan", "ali"):
        trainer = make_trainer(configure(method), None)
        sizes[method] = []
        pairs = pairs_of(trainer.networks)

        def note(inputs, training, pairs=pairs, seen=sizes[method]):
            seen.append(inputs[0].shape[0])
            return pairs(inputs, training=training)

        with monkeypatch.context() as patch:
            patch.setattr(f"train.methods.{PAIRS_OF[method]}.pairs_of", lambda _, n=note: n)
            trainer.differentiate(tf.constant(images()), trainer.sample_latents(4, 1), {"r1": 1.0})
    assert sizes == {"bigan": [4, 4], "ali": [8]}


def test_the_encoder_of_ali_is_stochastic_in_training_and_its_mean_is_what_encode_returns():
    trainer = make_trainer(configure("ali"), None)
    x = tf.constant(images())
    mean, log_variances = encoder_of(trainer.networks)(x)
    np.testing.assert_array_equal(trainer.networks.encode(x), mean)
    noise = (trainer.infer(x) - mean) / tf.exp(log_variances / 2.0)
    np.testing.assert_allclose(noise, trainer._draw_noise(), rtol=1e-3, atol=1e-3)
    trainer.train_step(x)
    assert not np.allclose(trainer._draw_noise(), noise, atol=0.1)


def test_the_noise_of_ali_is_not_the_latents_of_the_step():
    trainer = make_trainer(configure("ali"), None)
    noise = [trainer._draw_noise()]
    latents = [trainer.sample_latents(4, trainer.random) for _ in range(2)]
    trainer.optimizer.iterations.assign(1)
    noise.append(trainer._draw_noise())
    for of_step, z in zip(noise, latents, strict=True):
        assert np.abs(np.corrcoef(np.ravel(of_step), np.ravel(z))[0, 1]) < 0.5


def test_infogan_recovers_codes_and_predicts_0_for_the_other_elements():
    config = configure("infogan", **{"train.infogan_std": "fixed"})
    trainer = make_trainer(config, None)
    recovered = trainer.networks.encode(images()).numpy()
    assert np.all(recovered[:, :2] != 0.0)
    assert np.all(recovered[:, 2:] == 0.0)
    z = trainer.sample_latents(4, 1)
    _, means = trainer.differentiate(tf.constant(images()), z, {"r1": 1.0})
    recovered = trainer.networks.encode(trainer.networks.generate(z, trainer.scale()))
    squares = np.mean(np.sum(np.square(z - recovered)[:, :2], axis=1))
    priors = np.mean(np.sum(np.square(z)[:, :2], axis=1))
    information = float(means["mutual_information"])
    assert information == pytest.approx((priors - squares) / 2, rel=1e-4)
    assert float(means["encoder_loss"]) == pytest.approx(np.mean(np.square(z - recovered)))


def test_infogan_with_all_codes_and_a_fixed_std_is_the_papers_step_without_scale():
    """With weight d_z / 2 on L_enc; R1 and the adversarial losses are the same."""
    changes = {"train.infogan_codes": 6, "train.infogan_std": "fixed", "train.encoder_weight": 1.0}
    infogan = make_trainer(configure("infogan", **changes), None)
    paper = Trainer(configure("dlsgan", **{"train.encoder_weight": 3.0}), None)
    z = infogan.sample_latents(4, 1)
    results = [t.differentiate(tf.constant(images()), z, {"r1": 1.0}) for t in (infogan, paper)]
    (ours, _), (expected, _) = results
    for loss in ("generator", "discriminator"):
        for gradient, correct in zip(ours[loss], expected[loss], strict=True):
            np.testing.assert_allclose(gradient, correct, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "method",
    ["ali", *(pytest.param(method, marks=pytest.mark.long) for method in ("bigan", "infogan"))],
)
def test_a_run_goes_on_as_if_it_had_not_been_interrupted(method, tmp_path):
    folder = run_in(configure(method), tmp_path / "run", "normal_mse_dg")
    uninterrupted = final_state(folder.path)
    forget_last_epoch(folder)
    run_in(configure(method), folder.path, "normal_mse_dg")
    assert states_are_equal(final_state(folder.path), uninterrupted)
    trained = TrainedRun(folder.path)
    latents = trained.encode(images())
    assert trained.generate(latents).shape == (4, 8, 8, 3)


def test_batch_normalisation_and_further_backbones():
    """Their layers inside E and D learn of further replicas, and train."""
    model = {"backbone": "dcgan", "generator_channels": 4, "discriminator_channels": 4}
    values = merge(TINY, SMALLEST | {"latent.dynamic_scale": False, "train.method": "ali"})
    values["data"]["resolution"] = 16
    trainer = make_trainer(Config.model_validate(values | {"model": model}), None)
    assert trainer.networks.synchronize(2)
    layers = [*encoder_of(trainer.networks).layers, *pairs_of(trainer.networks).layers]
    assert {layer.replicas for layer in layers if hasattr(layer, "replicas")} == {2}
    trainer.networks.synchronize(1)
    statistics = trainer.train_step(images(4, 16))
    assert all(np.isfinite(value) for value in statistics.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train.method": "wgan"},
            "train.method: should be 'dlsgan', 'post_hoc_encoder', 'bigan', 'ali' or 'infogan'; "
            "did you mean bigan? Received: 'wgan'",
        ),
        (
            {"train.method": "ali", "latent.dynamic_scale": True},
            "latent.dynamic_scale: train.method ali takes false, its latents are not scaled. "
            "Received: true",
        ),
        (
            {"train.method": "bigan", "train.r2_weight": 1.0},
            "train.r2_weight: train.method bigan does not use it: leave it out. Received: 1.0",
        ),
        (
            {"train.infogan_codes": 3},
            "train.infogan_codes: train.method dlsgan does not use it: leave it out. Received: 3",
        ),
        (
            {"train.method": "infogan"},
            "train.infogan_codes: takes up to latent.dim, 6. Received: 16",
        ),
        (
            {"train.method": "post_hoc_encoder"},
            "train.from_run: train.method post_hoc_encoder takes the run that trained the "
            "generator: its name in this experiment, or its folder. Received: null",
        ),
    ],
)
def test_what_methods_cannot_have(config_file, changes, message):
    path = config_file(
        **{"latent.dynamic_scale": False} | changes, **{"experiment.runs": {"a": {}}}
    )
    assert error_of(path).endswith(message)


def test_networks_that_grow_are_not_joined(config_file):
    overrides = ["model.backbone=stylegan", "train.method=ali", "latent.dynamic_scale=false"]
    message = error_of(config_file(**{"experiment.runs": {"a": {}}}), *overrides)
    expected = "model.grow: train.method ali takes false, networks of one size. Received: true"
    assert message == f"--set: {expected}"
    load(config_file(**{"experiment.runs": {"a": {}}}), [*overrides, "model.grow=false"])
