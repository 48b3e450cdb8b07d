"""DCGAN beyond what is recorded: sizes, training, batch normalisation in and after it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from config import Config, UserError
from config.backbones.dcgan import DcganConfig
from models import exports
from models.backbones import dcgan
from tests.backbones.recordings import SECOND_ORDER, assert_close
from tests.conftest import TINY, merge
from train.runs.checkpoints import Checkpoints
from train.runs.folder import RunFolder
from train.step import Trainer

SMALL = {"backbone": "dcgan", "generator_channels": 4, "discriminator_channels": 4}
WITHOUT = {"generator_batch_norm": False, "discriminator_batch_norm": False}
IMAGES = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 3)).astype(np.float32)
LATENTS = np.random.default_rng(1).standard_normal((4, 6)).astype(np.float32)


pytestmark = pytest.mark.usefixtures("untraced")


def configure(model=None, **changes):
    """The tiny config with a small DCGAN for 16x16."""
    values = merge(TINY, {f"train.{key}": value for key, value in changes.items()})
    return Config.model_validate(values | {"model": SMALL | (model or {})})


def make_trainer(model=None, **changes):
    return Trainer(configure(model, **changes), "normal_dls_dg")


def moving(networks):
    """The moving statistics of generator and discriminator."""
    return [v.numpy() for part in networks.parts().values() for v in part.non_trainable_variables]


@pytest.mark.parametrize(
    ("resolution", "widths"), [(8, [2]), (16, [4, 2]), (128, [32, 16, 8, 4, 2])]
)
@pytest.mark.parametrize("kernel_size", [5, 4])
def test_widths_double_towards_4x4(resolution, widths, kernel_size):
    model = DcganConfig(kernel_size=kernel_size, generator_channels=2, discriminator_channels=2)
    mapper, synthesis, discriminator = networks = dcgan.build_networks(6, resolution, model)
    assert mapper is None
    assert synthesis.get_layer("reshape").output.shape[1:] == (4, 4, widths[0])
    up = [layer.kernel.shape[2:] for layer in synthesis.layers if layer.name.endswith("_up")]
    assert up == list(zip([*widths[1:], 3], widths, strict=True))  # (out, in)
    down = [layer.kernel.shape for layer in discriminator.layers if layer.name.endswith("_down")]
    ends = zip([3, *widths[:0:-1]], widths[::-1], strict=True)
    assert down == [(kernel_size, kernel_size, *each) for each in ends]
    assert discriminator.get_layer("latent").kernel.shape == (16 * widths[0], 6)
    images = networks.generate(LATENTS, np.ones(6, np.float32))
    assert images.shape == (4, resolution, resolution, 3)


def test_initial_weights():
    model = DcganConfig(generator_channels=16, discriminator_channels=16)
    networks = dcgan.build_networks(50, 32, model, log_variance=True)
    assert [output.shape[1:] for output in networks.discriminator.output] == [(), (50,), (50,)]
    for part in (networks.synthesis, networks.discriminator):
        kernels = [v.numpy().ravel() for v in part.trainable_variables if v.name == "kernel"]
        assert np.concatenate(kernels).std() == pytest.approx(0.02, rel=0.01)
        assert not any(np.array_equal(*pair) for pair in zip(kernels[1:], kernels, strict=False))
        gammas = [v.numpy() for v in part.trainable_variables if v.name == "gamma"]
        assert np.concatenate(gammas).mean() == pytest.approx(1.0, abs=0.01)
        assert np.concatenate(gammas).std() == pytest.approx(0.02, rel=0.3)


@pytest.mark.parametrize("model", [{"kernel_size": 5}, {"kernel_size": 4}, WITHOUT])
def test_gradients_reach_every_variable_and_training_moves_it(model):
    trainer = make_trainer(model)
    groups = trainer.parameter_groups
    assert [group.name for group in groups] == ["synthesis", "discriminator"]
    before = [[v.numpy() for v in group.variables] for group in groups]
    gradients, _ = trainer.differentiate(tf.constant(IMAGES), LATENTS, {"r1": 1.0})
    for group in groups:
        for variable, gradient in zip(group.variables, gradients[group.loss], strict=True):
            assert np.all(np.isfinite(gradient)), variable.path
            assert np.any(gradient != 0.0), variable.path
    for _ in range(2):
        row = trainer.train_step(IMAGES)
        assert all(np.isfinite(value) for value in row.values())
        assert row["r1_penalty"] > 0
    for group, values in zip(groups, before, strict=True):
        for variable, value in zip(group.variables, values, strict=True):
            assert not np.array_equal(variable, value), variable.path


def test_r1_goes_through_batch_normalisation():
    """Its gradient is that of the formulas in float64; other images of the batch take part."""
    trainer = make_trainer()
    assert trainer.networks.linear_biases is None
    variables = trainer.networks.adversarial_variables
    first, second, gamma, beta, last = [tf.cast(v, tf.float64) for v in variables]

    def down(x, kernel):
        return tf.nn.conv2d(tf.pad(x, [[0, 0], [2, 1], [2, 1], [0, 0]]), kernel, 2, "VALID")

    def discriminate(x):
        x = down(tf.nn.leaky_relu(down(x, first), 0.2), second)
        mean = tf.reduce_mean(x, (0, 1, 2))
        variance = tf.reduce_mean(x**2, (0, 1, 2)) - mean**2
        x = tf.nn.leaky_relu((x - mean) / tf.sqrt(variance + 1e-8) * gamma + beta, 0.2)
        return tf.reshape(x, (4, -1)) @ last

    with tf.GradientTape() as outer:
        outer.watch(weights := [first, second, gamma, beta, last])
        images = tf.constant(IMAGES, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(images)
            values = discriminate(images)
        r1 = tf.reduce_sum(tape.gradient(values, images) ** 2)
    expected = outer.gradient(r1, weights)
    with tf.GradientTape() as tape:
        real = trainer.penaliser.discriminate_real(tf.constant(IMAGES), tf.zeros(4), 1.0)
        value = tf.reduce_sum(real.r1)
    assert_close(value, r1)
    for variable, gradient, wanted in zip(
        variables, tape.gradient(value, [v.value for v in variables]), expected, strict=True
    ):
        if variable.name == "beta":  # it moves the kinks of leaky ReLU, and no slope
            assert not np.any(gradient)
            assert not np.any(wanted)
        else:
            assert_close(gradient, wanted, SECOND_ORDER, variable.path)


def test_only_training_uses_the_batch():
    networks = make_trainer().networks
    for _ in range(3):
        networks.discriminate(networks.generate(LATENTS, 1.0, training=True), training=True)
    before = moving(networks)
    alone = networks.generate(LATENTS[:1], 1.0)
    np.testing.assert_allclose(networks.generate(LATENTS, 1.0)[:1], alone, atol=1e-6)
    np.testing.assert_allclose(networks.encode(IMAGES)[:1], networks.encode(IMAGES[:1]), atol=1e-6)
    np.testing.assert_array_equal(np.concatenate(before), np.concatenate(moving(networks)))
    by_batch = networks.generate(LATENTS, 1.0, training=True)[:1]
    assert np.abs(by_batch - networks.generate(LATENTS[:2], 1.0, training=True)[:1]).max() > 1e-3


def test_without_batch_normalisation_an_image_has_one_latent_in_training_too():
    networks = make_trainer(WITHOUT).networks
    biases = [variable.path for variable in networks.linear_biases]
    assert biases == ["16_down/bias", "8_down/bias"]
    together = networks.discriminate(IMAGES, training=True)[1]
    alone = networks.discriminate(IMAGES[:1], training=True)[1]
    np.testing.assert_allclose(together[:1], alone, atol=1e-6)
    assert moving(networks) == []


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(precision):
    trainer = make_trainer(precision=precision)
    if precision == "mixed_float16":
        trainer.optimizer.dynamic_scale.assign(256.0)  # at first it halves until nothing overflows
    row = trainer.train_step(IMAGES)
    assert all(np.isfinite(value) for value in row.values())
    _, synthesis, discriminator = trainer.networks
    narrow = precision.removeprefix("mixed_")
    for part, names in ((synthesis, ("4_norm", "8_norm")), (discriminator, ("8_norm", "8_down"))):
        assert {part.get_layer(name).output.dtype for name in names} == {narrow}
        assert {variable.dtype for variable in part.variables} == {"float32"}
    assert {x.dtype for x in (synthesis.output, *discriminator.output)} == {"float32"}


def test_averaged_networks_take_over_the_moving_statistics():
    trainer = make_trainer(average_decay=0.9)
    trainer.train_step(IMAGES)
    trained, averaged = trainer.networks, trainer.averages.networks
    for value, expected in zip(moving(averaged), moving(trained), strict=True):
        assert 0.0 < np.abs(value).max() < np.inf
        np.testing.assert_array_equal(value, expected)
    kernels = [n.synthesis.get_layer("dense").kernel.numpy() for n in (averaged, trained)]
    assert not np.array_equal(*kernels)


def test_a_restored_training_goes_on_with_the_same_bits(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    first, second = make_trainer(average_decay=0.9), make_trainer(average_decay=0.9)
    first.train_step(IMAGES)
    with folder.locked():
        Checkpoints(first, folder).save(1)
    assert Checkpoints(second, folder).restore() == 1
    for value, expected in zip(moving(second.networks), moving(first.networks), strict=True):
        np.testing.assert_array_equal(value, expected)
    rows = [trainer.train_step(IMAGES) for trainer in (first, second)]
    assert {name: float(value) for name, value in rows[0].items()} == {
        name: float(value) for name, value in rows[1].items()
    }
    for networks in (lambda each: each.networks, lambda each: each.averages.networks):
        for name, part in networks(first).parts().items():
            for variable, other in zip(
                part.weights, networks(second).parts()[name].weights, strict=True
            ):
                np.testing.assert_array_equal(variable, other, err_msg=variable.path)


def test_an_exported_model_uses_the_moving_statistics(tmp_path):
    networks = make_trainer().networks
    networks.discriminate(networks.generate(LATENTS, 1.0, training=True), training=True)
    scale = np.linspace(0.5, 1.5, 6).astype(np.float32)
    for model, inputs, expected in (
        (exports.build_generator(networks, scale), LATENTS, networks.generate(LATENTS, scale)),
        (exports.build_encoder(networks), IMAGES, networks.encode(IMAGES)),
    ):
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
        np.testing.assert_array_equal(loaded(inputs), expected)


def test_replicas_that_normalise_together_take_steps_that_are_alike(monkeypatch):
    monkeypatch.setattr(dcgan.DcganNetworks, "synchronize", lambda networks, replicas: True)
    make_trainer()
    with pytest.raises(UserError) as error:
        make_trainer(r1_interval=2)
    assert str(error.value) == (
        "train.distribution: with batch normalisation or moving averages of styles, several "
        "replicas take steps that are all alike: penalties with an interval of 1, and model.grow "
        "false. Otherwise use train.distribution none"
    )
