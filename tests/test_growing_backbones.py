"""Progressive GAN and StyleGAN: their sizes, their keys, and training steps with them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from config import Config
from config.backbones import ProgressiveGanConfig, StyleGanConfig
from models.backbones import BUILDERS
from tests.conftest import TINY, eagerly
from train.step import Trainer

HEAD = 513 * 512  # the encoder's
NAMES = ["progressive_gan", "stylegan"]
TINY_MODEL = {"channel_base": 32, "channel_max": 4, "stage_kimg": 0.008, "fade_kimg": 0.008}
IMAGES = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 3)).astype(np.float32)


def configure(name, train=(), **keys):
    """The tiny config at 8x8 with a backbone that grows from 4x4 within four steps."""
    model = {"backbone": name, "first_resolution": 4} | TINY_MODEL | keys
    model |= {"style_units": 8, "mapping_layers": 2} if name == "stylegan" else {}
    values = TINY | {"model": model, "train": TINY["train"] | dict(train)}
    return Config.model_validate(values | {"data": TINY["data"] | {"resolution": 8}})


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def build_symbolically(resolution, model):
    """Networks of the paper's size, whose weights are not drawn."""
    with keras.StatelessScope(initialize_variables=False):
        return BUILDERS[model.backbone](512, resolution, model)


@pytest.mark.parametrize(
    ("resolution", "generator", "discriminator"),
    [(1024, 23_079_115, 23_087_249), (256, 23_044_309, 23_052_353), (128, 22_933_394, 22_941_313)],
)
def test_progressive_gan_has_as_many_weights_as_the_authors(resolution, generator, discriminator):
    networks = build_symbolically(resolution, ProgressiveGanConfig())
    assert count(networks.synthesis.trainable_weights) == generator
    assert count(networks.discriminator.trainable_weights) == discriminator + HEAD


def test_without_growing_the_smaller_rgb_layers_are_missing():
    networks = build_symbolically(1024, ProgressiveGanConfig(grow=False))
    assert count(networks.synthesis.weights) == 23_079_115 - 7_608
    assert count(networks.discriminator.weights) == 23_087_249 + HEAD - 10_112


@pytest.mark.parametrize(
    ("resolution", "generator", "discriminator"),
    [(1024, 24_118_379, 23_087_249), (256, 23_984_981, 23_052_353), (128, 23_742_610, 22_941_313)],
)
def test_stylegan_has_as_many_weights_as_the_authors(resolution, generator, discriminator):
    networks = build_symbolically(resolution, StyleGanConfig())
    assert count(networks.mapper.trainable_weights) == 2_101_248
    assert count(networks.synthesis.trainable_weights) == generator
    assert count(networks.discriminator.trainable_weights) == discriminator + HEAD
    noise = [w for w in networks.synthesis.non_trainable_weights if w.name == "constant"]
    if resolution == 1024:
        assert count(noise) == 2_796_192


@pytest.mark.parametrize("name", NAMES)
def test_two_steps_train_every_variable_of_the_present_stage(name):
    """All of them in a fade between the two sizes; at full size all but the smaller one's RGB."""
    trainer = Trainer(configure(name, fade_kimg=0.1), "normal_dls_dg")
    variables = [v for group in trainer.parameter_groups for v in group.variables]

    def changed_by_two_steps(images_seen):
        trainer.growth.images_seen.assign(images_seen)
        before = [variable.numpy() for variable in variables]
        for _ in range(2):
            statistics = trainer.train_step(IMAGES)
            assert all(np.isfinite(value) for value in statistics.values()), statistics
        pairs = zip(variables, before, strict=True)
        return {v.path for v, old in pairs if not np.array_equal(v, old)}

    paths = {variable.path for variable in variables}
    with eagerly():
        assert changed_by_two_steps(images_seen=50) == paths
        rgb = {path for path in paths if path.startswith(("4_to_rgb", "4_from_rgb"))}
        assert changed_by_two_steps(images_seen=200) == paths - rgb


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_takes_a_step(name, precision):
    train = {"precision": precision, "average_decay": 0.9}
    trainer = Trainer(configure(name, train), "normal_dls_dg")
    narrow = trainer.networks.discriminator.get_layer("8_conv")
    assert narrow.compute_dtype == precision.removeprefix("mixed_")
    trainer.growth.images_seen.assign(12)
    if precision == "mixed_float16":
        trainer.optimizer.dynamic_scale.assign(64)  # which it would find by itself, by halving
    with eagerly():
        statistics = trainer.train_step(IMAGES)
    assert all(np.isfinite(value) for value in statistics.values()), statistics
    assert int(trainer.optimizer.iterations) == 1
    images = trainer.networks.generate_from_scaled(np.ones((4, 6), np.float32))
    assert images.dtype == "float32"


def test_each_step_has_the_lod_of_its_images_and_adam_starts_anew_at_each_stage():
    """After 0, 4, 8, 12, 16 and 20 images: 8 of them at 4x4, then 8 in the fade."""
    trainer = Trainer(configure("progressive_gan"), "normal_dls_dg")
    adam, lods, counts = trainer.optimizer, [], []
    with eagerly():
        for _ in range(6):
            trainer.train_step(IMAGES)
            lods.append(float(trainer.networks.lod.value))
            counts.append(int(adam.iterations) - int(adam.first_iteration))
    assert lods == [1, 1, 1, 0.5, 0, 0]
    assert counts == [1, 2, 3, 1, 1, 2]
    assert int(trainer.growth.images_seen) == 24


def test_after_a_restart_adam_takes_the_step_of_a_new_one():
    steps = []
    for restarts in (False, True):
        trainer = Trainer(configure("progressive_gan"), "normal_dls_dg", seed=3)
        adam, weight = trainer.optimizer, trainer.networks.synthesis.get_layer("4_conv").kernel
        gradients = [np.ones(v.shape, np.float32) for v in adam._trainable_variables]
        if restarts:
            adam.apply([7 * gradient for gradient in gradients])
            adam.restart()
        before = weight.numpy()
        adam.apply(gradients)
        steps.append(weight.numpy() - before)
    np.testing.assert_allclose(*steps, rtol=1e-5)


def test_a_traced_step_serves_the_whole_schedule():
    trainer, other = (Trainer(configure("progressive_gan"), "normal_dls_dg") for _ in range(2))
    batches = tf.constant(np.stack([IMAGES, IMAGES[::-1], -IMAGES, IMAGES, IMAGES[::-1]]))
    statistics = trainer.train_steps(batches)
    with eagerly():
        losses = [float(other.train_step(batch)["discriminator_loss"]) for batch in batches]
    np.testing.assert_allclose(statistics["discriminator_loss"], losses, rtol=1e-3)
    assert trainer.train_steps.experimental_get_tracing_count() == 1
    assert float(trainer.networks.lod.value) == 0


def test_real_images_fade_too(monkeypatch):
    trainer = Trainer(configure("progressive_gan"), "normal_dls_dg")
    seen = []
    monkeypatch.setattr(trainer, "_update", lambda x, z: seen.append(x[0]) or {})
    monkeypatch.setattr(trainer, "statistics", ())
    with eagerly():
        trainer.train_step(IMAGES)
    means = IMAGES.reshape(4, 4, 2, 4, 2, 3).mean((2, 4)).repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(seen[0], means, atol=1e-6)
