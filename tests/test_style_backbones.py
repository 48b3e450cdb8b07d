"""StyleGAN2 and StyleGAN3 beyond what is recorded: keys, sizes, training, precision, exports."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

from config import Config, UserError, load
from config.backbones import BACKBONES
from models.backbones import BUILDERS
from models.backbones.stylegan2 import build_discriminator, build_synthesis
from models.backbones.stylegan3 import build_synthesis as build_stylegan3
from models.backbones.styles import build_mapper
from models.normalisation import MinibatchStddev
from tests.backbones.recordings import assert_close
from tests.conftest import TINY, merge
from train.runs.checkpoints import Checkpoints
from train.runs.folder import RunFolder
from train.step import Trainer

NAMES = ["stylegan2", "stylegan3_t", "stylegan3_r"]
SYNTHESES = {
    "stylegan2": build_synthesis,
    "stylegan3_t": build_stylegan3,
    "stylegan3_r": build_stylegan3,
}
SMALL = {"style_units": 5, "mapping_layers": 2, "channel_base": 64, "channel_max": 4}
IMAGES = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 3)).astype(np.float32)
LATENTS = np.random.default_rng(1).standard_normal((4, 6)).astype(np.float32)


pytestmark = pytest.mark.usefixtures("untraced")


def values_of(name, model=None, **changes):
    """The tiny config with a small backbone for 16x16, as a dict."""
    values = merge(TINY, {key.replace("__", "."): value for key, value in changes.items()})
    return values | {"model": SMALL | {"backbone": name} | (model or {})}


def make_trainer(name, model=None, **changes):
    return Trainer(Config.model_validate(values_of(name, model, **changes)), "normal_dls_dg")


def build(name, **changes):
    keras.utils.set_random_seed(0)
    return BUILDERS[name](6, 16, BACKBONES[name](**SMALL | changes))


@pytest.mark.parametrize("name", NAMES)
def test_two_steps_move_every_variable_and_average(name):
    """A gradient reaches a variable that moves: Adam leaves the others where they are."""
    trainer = make_trainer(name)
    groups = trainer.parameter_groups
    assert [(group.name, group.rate_multiplier) for group in groups] == [
        ("mapper", 1.0), ("synthesis", 1.0), ("discriminator", 1.0)
    ]  # fmt: skip
    weights = [weight for part in trainer.networks for weight in part.weights]
    before = [weight.numpy() for weight in weights]
    for _ in range(2):
        row = trainer.train_step(IMAGES)
        assert all(np.isfinite(value) for value in row.values())
        assert row["r1_penalty"] > 0
    fixed = {
        weight.path
        for weight, value in zip(weights, before, strict=True)
        if np.array_equal(weight, value)
    }
    noise = {
        f"{layer}/noise/constant" for layer in ("4_conv", "8_up", "8_conv", "16_up", "16_conv")
    }
    waves = {"input/frequencies", "input/phases", "input/transform"}
    assert fixed == (noise if name == "stylegan2" else waves)


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("stylegan2", "mixed_bfloat16"),
        ("stylegan2", "mixed_float16"),
        ("stylegan3_t", "mixed_bfloat16"),
        ("stylegan3_r", "mixed_float16"),
    ],
)
def test_mixed_precision(name, precision):
    trainer = make_trainer(name, train__precision=precision)
    if precision == "mixed_float16":
        trainer.optimizer.dynamic_scale.assign(256.0)  # at first it halves until nothing overflows
    row = trainer.train_step(IMAGES)
    assert all(np.isfinite(value) for value in row.values())
    assert row["synthesis_gradient_norm"] > 0
    mapper, synthesis, discriminator = trainer.networks
    narrow = precision.removeprefix("mixed_")
    layers = {"stylegan2": ["16_up", "16_conv"]}.get(name, ["input", "norm_3", "conv_9", "leaky_9"])
    assert {synthesis.get_layer(layer).output.dtype for layer in layers} == {narrow}
    assert {discriminator.get_layer(f"16_{part}").output.dtype for part in ("conv", "down")} == {
        narrow
    }
    for part in trainer.networks:
        assert {weight.dtype for weight in part.weights} == {"float32"}
    assert {x.dtype for x in (synthesis.output, *discriminator.output)} == {"float32"}
    arguments = (6,) if name == "stylegan2" else ()
    exact = SYNTHESES[name](*arguments, 16, BACKBONES[name](**SMALL))
    exact.set_weights(synthesis.get_weights())
    styles = mapper(LATENTS)
    assert_close(synthesis(styles), exact(styles), 0.05)


@pytest.mark.parametrize("name", ["stylegan2", "stylegan3_t"])
def test_an_image_has_one_latent(name):
    networks = build(name)
    images = networks.generate(LATENTS, 1.0)
    assert_close(networks.generate(LATENTS[:2], 1.0), images[:2])
    assert_close(networks.encode(images[:1]), networks.encode(images)[:1])
    longer = networks.generate(3 * LATENTS, 1.0)
    assert np.abs(longer - images).max() > 0.1 * np.abs(images).max()


def test_without_minibatch_deviation_r1_has_the_gradient_of_autodiff():
    """The discriminator is piecewise linear then."""
    assert build("stylegan2").linear_biases is None
    trainer = make_trainer("stylegan2", {"minibatch_stddev_group": 0})
    layers = trainer.networks.discriminator.layers
    assert not any(isinstance(layer, MinibatchStddev) for layer in layers)
    assert len(trainer.networks.linear_biases) == 9
    inputs = tf.constant(IMAGES), LATENTS, {"r1": 1.0}
    carried = trainer.differentiate(*inputs)[0]["discriminator"]
    trainer.penaliser.is_narrow = True  # then autodiff computes it
    for variable, gradient, expected in zip(
        trainer.networks.discriminator.trainable_variables,
        carried,
        trainer.differentiate(*inputs)[0]["discriminator"],
        strict=True,
    ):
        assert_close(gradient, expected, 1e-4, variable.path)


@pytest.mark.parametrize("name", ["stylegan2", "stylegan3_r"])
def test_saved_models_are_the_same(name, tmp_path):
    """With all that training alone does, and a head for variances."""
    changes = {"style_mixing_probability": 0.9, "normalize_latents": True}
    if name == "stylegan2":
        changes["noise"] = "random"
    keras.utils.set_random_seed(0)
    networks = BUILDERS[name](6, 16, BACKBONES[name](**SMALL | changes), log_variance=True)
    assert len(networks.random_states()) == (6 if name == "stylegan2" else 1)
    networks.generate(LATENTS, 1.0, training=True)
    inputs = {"mapper": LATENTS, "synthesis": networks.mapper(LATENTS), "discriminator": IMAGES}
    for part, model in networks.parts().items():
        model.save(tmp_path / f"{part}.keras")
        loaded = keras.saving.load_model(tmp_path / f"{part}.keras", safe_mode=True)
        for ours, theirs in zip(
            tf.nest.flatten(model(inputs[part])), tf.nest.flatten(loaded(inputs[part])), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    assert [output.shape for output in networks.discriminate(IMAGES)] == [(4,), (4, 6), (4, 6)]


def test_a_restored_training_goes_on_with_the_same_bits(tmp_path):
    """Random noise, style mixing and the mean style too."""
    folder = RunFolder(tmp_path / "run")
    folder.create()
    model = {"noise": "random", "style_mixing_probability": 0.5, "allow_ambiguous_latents": True}
    first, second = make_trainer("stylegan2", model), make_trainer("stylegan2", model)
    for trainer in (first, second):  # strengths of noise start at 0
        for weight in trainer.networks.synthesis.trainable_weights:
            if weight.path.endswith("noise/strength"):
                weight.assign(0.5)
    first.train_step(IMAGES)
    with folder.locked():
        Checkpoints(first, folder).save(1)
    assert Checkpoints(second, folder).restore() == 1
    rows = [trainer.train_step(IMAGES) for trainer in (first, second)]
    assert {name: float(value) for name, value in rows[0].items()} == {
        name: float(value) for name, value in rows[1].items()
    }
    for part, other in zip(first.networks, second.networks, strict=True):
        for weight, expected in zip(part.variables, other.variables, strict=True):
            np.testing.assert_array_equal(weight, expected, err_msg=weight.path)


def count(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


@pytest.mark.parametrize(
    ("resolution", "channel_base", "generator", "discriminator"),
    [
        (1024, 32768, 30_370_060, 29_012_513),
        (256, 32768, 30_034_338, 28_864_129),
        (1024, 16384, 24_900_764, 24_038_161),
        (256, 16384, 24_767_458, 24_001_089),
        (512, 32768, None, 28_982_849),
        (128, 32768, None, 28_389_121),
    ],
)
def test_parameters_of_stylegan2(resolution, channel_base, generator, discriminator):
    """As the authors' networks have; the discriminator without the encoder's head."""
    keys = BACKBONES["stylegan2"](channel_base=channel_base)
    with keras.StatelessScope(initialize_variables=False):  # no weights are drawn
        counted = build_discriminator(1, resolution, keys)
        assert count(counted) - count(counted.get_layer("latent")) == discriminator
        if generator:
            num_ws = 2 * resolution.bit_length() - 4
            mapper = build_mapper(512, num_ws, keys)
            assert count(mapper) == 2_101_248
            assert count(mapper) + count(build_synthesis(num_ws, resolution, keys)) == generator


@pytest.mark.parametrize(
    ("configuration", "resolution", "generator"),
    [
        ("t", 256, 28_472_133),
        ("t", 512, 24_873_519),
        ("t", 1024, 22_313_167),
        ("r", 256, 18_816_387),
        ("r", 512, 16_665_594),
        ("r", 1024, 15_093_151),
    ],
)
def test_parameters_of_stylegan3(configuration, resolution, generator):
    """Its discriminators are among those of StyleGAN2."""
    keys = BACKBONES[f"stylegan3_{configuration}"]()
    with keras.StatelessScope(initialize_variables=False):
        mapper = build_mapper(512, 16, keys)
        assert count(mapper) == 525_312
        assert count(mapper) + count(build_stylegan3(resolution, keys)) == generator


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "stylegan3_r",
            {"data.resolution": 8},
            "data.resolution: model.backbone stylegan3_r takes 16 or more, the rate of its first "
            "signals. Received: 8",
        ),
        (
            "stylegan2",
            {"model.noise": "random"},
            "model.noise: one latent makes many images, so no encoder can recover it: leave the "
            'key out, or set model.allow_ambiguous_latents to true. Received: "random"',
        ),
        (
            "stylegan3_t",
            {"model.style_mixing_probability": 0.9},
            "model.style_mixing_probability: an image is made of two latents, so no encoder can "
            "recover it: leave the key out, or set model.allow_ambiguous_latents to true. "
            "Received: 0.9",
        ),
        (
            "stylegan3_t",
            {"model.noise": "fixed"},
            "model.noise: unknown key; known here: channel_base, channel_max, "
            "minibatch_stddev_group, minibatch_stddev_features, normalize_latents, "
            "allow_ambiguous_latents, style_units, mapping_layers, mapping_rate_multiplier, "
            "average_style_decay, style_mixing_probability, magnitude_average_decay, backbone",
        ),
    ],
)
def test_wrong_keys(name, changes, message, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(merge(values_of(name), changes)))
    with pytest.raises(UserError) as caught:
        load(path)
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize("name", NAMES)
def test_keys_that_make_latents_ambiguous_are_allowed_by_name(name):
    changes = {"style_mixing_probability": 0.5, "allow_ambiguous_latents": True}
    config = Config.model_validate(values_of(name, changes))
    assert config.model.style_mixing_probability == 0.5
