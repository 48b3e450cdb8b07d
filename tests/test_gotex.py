"""GOTEX, held to steps recorded from the authors' code, and its own properties."""

import os
import re
import signal
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from config import UserError
from config.textures.gotex import GotexConfig
from models.textures.gotex import build_generator
from tests.killed_textures import train_killed
from train.runtime.signals import Stopped
from train.textures.gotex import METHOD, GotexNetwork, draw_noises
from train.textures.gotex_features import halve, patch_features, patch_vectors
from train.textures.gotex_optimisation import Optimisation
from train.textures.unfinished import Unfinished

RECORDED = dict(np.load(Path(__file__).parent / "recorded" / "textures" / "gotex.npz"))
IMAGE = tf.constant(RECORDED["image"][None] / 255.0, tf.float32)
CONFIG = GotexConfig(
    scales=2, target_patches=60, synthesis_patches=None, steps=3, potential_steps=4, levels=2
)
NETWORK = CONFIG.model_copy(update={"form": "network", "synthesis_patches": 50})
EXTRACT = patch_features(4, 2)


pytestmark = pytest.mark.usefixtures("untraced")


def channels_last(name):
    return np.transpose(RECORDED[name], (0, 2, 3, 1))


def noises(number):
    return [channels_last(f"net/noise/{number}/{level}") for level in range(3)]


def targets(form):
    vectors = EXTRACT(IMAGE, False)
    return [x.numpy()[RECORDED[f"{form}/target_indices_{i}"]] for i, x in enumerate(vectors)]


def step(optimisation, inputs=()):
    vectors = optimisation.extract(optimisation.make_image(inputs))
    return float(optimisation.step(list(inputs), [np.arange(len(x)) for x in vectors]))


def recorded_name(variable):
    """What the authors call a variable of the generator, such as cb1.0.conv2.weight."""
    layer, weight = variable.path.split("/")
    layer = re.sub("^level_0_", "first_conv.", layer)
    for ours, theirs in (("level", "cb1"), ("joined", "cb2"), ("up", "up")):
        layer = re.sub(f"^{ours}_([0-9])_", lambda m, x=theirs: f"{x}.{int(m[1]) - 1}.", layer)
    layer = layer.replace("norm", "bn").replace("image", "last_conv")
    return f"{layer}.{'weight' if weight in ('kernel', 'scale') else 'bias'}"


def recorded_weight(variable, when):
    weight = RECORDED[f"net/{when}/{recorded_name(variable)}"]
    return np.transpose(weight, (2, 3, 1, 0)) if weight.ndim == 4 else weight


def has_gradient(variable):
    """False for what a later normalisation takes away, whose steps are rounding."""
    return not re.search(r"conv[0-9]\.bias$|^up\..*\.bias$", recorded_name(variable))


@pytest.mark.parametrize(("is_periodic", "name"), [(False, "plain"), (True, "periodic")])
def test_the_pyramid_and_patches(is_periodic, name):
    half = np.transpose(halve(IMAGE, is_periodic), (0, 3, 1, 2))
    np.testing.assert_allclose(half, RECORDED[f"down_{name}"], rtol=0, atol=2e-7)
    vectors = patch_vectors(IMAGE, 4, is_periodic).numpy()
    part = vectors[-5:] if is_periodic else vectors[:5]
    place = "last" if is_periodic else "first"
    np.testing.assert_array_equal(part, RECORDED[f"patches_{name}_{place}"])


def test_a_traced_step_is_the_untraced_one():
    results = []
    for is_traced in (False, True):
        tf.config.run_functions_eagerly(not is_traced)
        image = tf.Variable(channels_last("optim/initial"))
        config = CONFIG.model_copy(update={"potential_steps": 1})
        extract = lambda x: EXTRACT(x, True)  # noqa: E731
        make = lambda _, image=image: image.value()  # noqa: E731
        step(Optimisation(make, [image], extract, targets("optim"), config))
        results.append(image.numpy())
    np.testing.assert_allclose(*results, rtol=0, atol=1e-6)


def test_three_steps_of_the_image():
    image = tf.Variable(channels_last("optim/initial"))
    optimisation = Optimisation(
        lambda _: image.value(), [image], lambda x: EXTRACT(x, True), targets("optim"), CONFIG
    )
    losses = [step(optimisation) for _ in range(3)]
    np.testing.assert_allclose(losses, RECORDED["optim/losses"], rtol=0, atol=7e-7)
    np.testing.assert_allclose(image, channels_last("optim/result"), rtol=0, atol=6e-7)
    for number, potentials in enumerate(optimisation.potentials):
        recorded = RECORDED[f"optim/psi_{number}"]
        np.testing.assert_allclose(potentials, recorded, rtol=0, atol=2e-7)


def test_three_steps_of_the_network():
    generator = build_generator(2, 0)
    for variable in generator.trainable_variables:
        variable.assign(recorded_weight(variable, "before"))
    optimisation = Optimisation(
        generator,
        [variable.value for variable in generator.trainable_variables],
        lambda x: EXTRACT(x, False),
        targets("net"),
        CONFIG,
    )
    losses = []
    for number in (1, 2, 3):
        image = generator(noises(number))
        recorded = channels_last(f"net/image_{number}")
        np.testing.assert_allclose(image, recorded, rtol=0, atol=1.5e-5)
        losses.append(step(optimisation, noises(number)))
    np.testing.assert_allclose(losses, RECORDED["net/losses"], rtol=1e-6, atol=0)
    compared = [x for x in generator.trainable_variables if has_gradient(x)]
    assert len(compared) == 48
    for variable in compared:
        recorded = recorded_weight(variable, "after")
        np.testing.assert_allclose(variable, recorded, rtol=0, atol=3e-5)
    for number, potentials in enumerate(optimisation.potentials):
        recorded = RECORDED[f"net/psi_{number}"]
        np.testing.assert_allclose(potentials, recorded, rtol=0, atol=1e-6)


def test_the_generator_of_five_levels_has_7968_parameters():
    assert build_generator(5, 0).count_params() == 7968


def test_the_network_makes_any_size_and_tiles_are_periodic():
    network = GotexNetwork(NETWORK, seed=1)
    assert network.sample(37, 50, 0, False, lambda *_: None).shape == (37, 50, 3)
    tile = network.sample(36, 24, 0, True, lambda *_: None)
    noise = draw_noises(2, 9, 6, np.random.default_rng(0), is_periodic=True)
    whole = network.generator(noise)[0].numpy()  # with four rows and columns of the next tile
    np.testing.assert_allclose(whole[36:, :24], tile[:4], rtol=0, atol=1e-5)
    np.testing.assert_allclose(whole[:36, 24:], tile[:, :4], rtol=0, atol=1e-5)


def fit(config, kept=None, on_progress=lambda *_: None):
    return METHOD.fit(IMAGE[0].numpy(), config, 3, on_progress, kept)


def assert_same(model, other):
    for name, value in model.arrays().items():
        np.testing.assert_array_equal(other.arrays()[name], value)


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    whole = fit(NETWORK)
    resumed = train_killed(partial(fit, NETWORK), tmp_path, monkeypatch)
    assert_same(whole, resumed)
    assert_same(whole, METHOD.restore(NETWORK, whole.arrays()))
    with pytest.raises(UserError, match="other settings or another image that did not end"):
        Unfinished(tmp_path / "state", "another purpose").read()


def test_a_signal_saves_the_state_first(tmp_path):
    kept = Unfinished(tmp_path / "state", "a purpose")
    with pytest.raises(Stopped):
        fit(NETWORK, kept, lambda done, total: os.kill(os.getpid(), signal.SIGTERM))
    assert kept.read()["step"] == 1
    kept.remove()
    assert kept.read() is None


@pytest.fixture
def feature_model(tmp_path):
    """The path of a Keras model with two convolutions."""
    inputs = keras.Input((None, None, 3))
    first = keras.layers.Conv2D(4, 3, activation="relu", name="first")(inputs)
    second = keras.layers.Conv2D(5, 3, 2, activation="relu", name="second")(first)
    keras.Model(inputs, second).save(tmp_path / "features.keras")
    return tmp_path / "features.keras"


def test_an_image_from_the_features_of_a_model(feature_model):
    settings = {
        "features": f"model:{feature_model}",
        "layers": ["first", "second"],
        "learning_rate": 0.05,
    }
    config = GotexConfig(**settings, target_patches=50, synthesis_patches=40, steps=40)
    model = fit(config)
    assert [x.shape for x in model.targets] == [(50, 4), (50, 5)]
    image = model.sample(20, 24, 0, False, lambda *_: None)
    start = np.random.default_rng(0).random((1, 20, 24, 3), np.float32)[0]
    assert image.shape == (20, 24, 3)
    model = keras.saving.load_model(feature_model)
    before, after, wanted = (
        np.mean(model(2 * np.float32(x)[None] - 1), axis=(1, 2)) for x in (start, image, IMAGE[0])
    )
    assert np.linalg.norm(after - wanted) < 0.5 * np.linalg.norm(before - wanted)
    wrong = config.model_copy(update={"layers": ["third"]})
    with pytest.raises(UserError, match=r"features.keras has first, second. Received: third$"):
        fit(wrong)
