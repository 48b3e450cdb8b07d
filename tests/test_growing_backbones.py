"""Progressive GAN and StyleGAN: their sizes, their keys, and training steps with them."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

from config import Config, UserError
from config.backbones.karras import ProgressiveGanConfig
from config.backbones.stylegan import StyleGanConfig
from data.loading import check_length
from evaluate.exchange.exports import save_functions
from models.backbones import BUILDERS
from models.backbones.styles import MixStyles
from models.exports import build_encoder, build_generator
from tests.conftest import TINY, eagerly, run_in
from tests.survival import final_state, states_are_equal
from train.flops import step_flops
from train.runs.folder import RunFolder
from train.step import Trainer

HEAD = 513 * 512  # the encoder's
NAMES = ["progressive_gan", "stylegan"]
TINY_MODEL = {"channel_base": 32, "channel_max": 4, "stage_kimg": 0.008, "fade_kimg": 0.008}
IMAGES = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 3)).astype(np.float32)


def configure_values(name, train=(), **keys):
    """The tiny config at 8x8 with a backbone that grows from 4x4 within four steps."""
    model = {"backbone": name, "first_resolution": 4} | TINY_MODEL | keys
    model |= {"style_units": 8, "mapping_layers": 2} if name == "stylegan" else {}
    values = TINY | {"model": model, "train": TINY["train"] | dict(train)}
    return values | {"data": TINY["data"] | {"resolution": 8}}


def configure(name, train=(), **keys):
    return Config.model_validate(configure_values(name, train, **keys))


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
    assert float(trainer.averages.networks.lod.value) == 0.5  # averages grow with the weights
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


def test_small_stages_mix_the_styles_of_their_own_layers():
    """Of the six layers of 16x16, lod 0.7 has six, 1.3 has four and 2 has two."""
    keras.utils.set_random_seed(0)
    styles = np.broadcast_to(np.arange(3, dtype=np.float32)[:, None, None], (3, 6, 2))
    layer = MixStyles(1.0)
    for lod, most in ((0.7, 5), (1.3, 3), (2.0, 1)):
        mixed = [layer(styles, tf.constant(lod), training=True) for _ in range(60)]
        cutoffs = {int(np.sum(each[1, :, 0] == 1)) for each in mixed}
        assert cutoffs == set(range(1, most + 1))


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


@pytest.mark.long
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


def test_a_state_saved_in_a_fade_goes_on_as_if_it_were_not(tmp_path):
    train = {"average_decay": 0.9}
    trainer, resumed = (
        Trainer(configure("progressive_gan", train), "normal_dls_dg", seed) for seed in (0, 1)
    )
    with eagerly():
        for _ in range(4):  # the fourth is in the fade
            trainer.train_step(IMAGES)
        path = tf.train.Checkpoint(**trainer.state()).write(str(tmp_path / "state"))
        tf.train.Checkpoint(**resumed.state()).read(path).assert_consumed()
        assert float(resumed.networks.lod.value) == 0.5
        for _ in range(2):
            for each in (trainer, resumed):
                each.train_step(IMAGES[::-1])
    for name, part in trainer.state().items():
        other = resumed.state()[name]
        variables = (getattr(each, "variables", [each]) for each in (part, other))
        for left, right in zip(*variables, strict=True):
            np.testing.assert_array_equal(left, right, err_msg=name)


@pytest.mark.long
def test_a_run_killed_in_a_fade_goes_on_as_if_it_were_not(tmp_path):
    """Two epochs of four steps; the fade is from the third to the sixth step."""
    train = {"checkpoint_every": "1 steps", "keep_checkpoints": 9, "average_decay": 0.9}
    config = configure("progressive_gan", train, fade_kimg=0.016)
    with eagerly():
        whole = run_in(config, tmp_path / "whole")
        killed = RunFolder(shutil.copytree(whole.path, tmp_path / "killed"))
        for file in killed.checkpoints.glob("step-[678].*"):
            file.unlink()
        rows = killed.metrics_path.read_bytes()
        killed.metrics_path.write_bytes(rows[: rows.index(b"\n") + 1])
        run_in(config, killed.path)
    state = final_state(whole.path)
    assert states_are_equal(final_state(killed.path), state)
    assert [value for name, value in state[0].items() if name.startswith("images_seen")] == [32]


def test_a_training_too_short_to_grow_is_refused():
    config = configure("progressive_gan", stage_kimg=0.02, fade_kimg=0.02)
    with pytest.raises(UserError) as raised:
        check_length(config, 18)  # four batches of four, twice
    assert str(raised.value) == (
        "model.stage_kimg, model.fade_kimg: growing from 4x4 to 8x8 takes 40 images, all epochs "
        "together have 32. Make them smaller, or set model.grow to false. Received: 0.02, 0.02"
    )
    check_length(configure("progressive_gan", stage_kimg=0.016, fade_kimg=0.016), 18)
    check_length(configure("progressive_gan", grow=False, stage_kimg=600), 18)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"first_resolution": 16}, "at or below data.resolution, 8. Received: 16"),
        ({"first_resolution": 6}, "model.first_resolution: use a power of two from 4 to 1024"),
        ({"minibatch_stddev_features": 3}, "use a divisor of the 4 channels at 4x4. Received: 3"),
        ({"normalize_latents": True}, "model.normalize_latents: all latents of one direction"),
    ],
)
def test_keys_that_do_not_fit_are_refused(config_file, command, keys, message):
    path = config_file(**{"data.resolution": 8})
    path.write_text(yaml.safe_dump(configure_values("progressive_gan", **keys)))
    code, _, errors = command("plan", path)
    assert (code, errors.count("\n")) == (2, 1)
    assert message in errors


@pytest.mark.parametrize(("name", "lod"), [("progressive_gan", 1.0), ("stylegan", 0.4)])
def test_exports_are_of_the_present_stage(tmp_path, name, lod):
    networks = Trainer(configure(name), "normal_dls_dg").networks
    networks.lod.assign(lod)
    latents = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    generator, encoder = build_generator(networks, np.full(6, 2.0)), build_encoder(networks)
    expected = networks.generate(latents, 2.0), networks.encode(IMAGES)
    for model, inputs, outputs in zip(
        (generator, encoder), (latents, IMAGES), expected, strict=True
    ):
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
        np.testing.assert_allclose(loaded(inputs), outputs, rtol=1e-5, atol=1e-6)
    save_functions(generator, encoder, tmp_path / "saved")
    saved = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(saved.generate(latents), expected[0], rtol=1e-5, atol=1e-6)


def test_operations_are_counted_at_full_size():
    grown, whole = (
        Trainer(configure("progressive_gan", grow=grow), "normal_dls_dg") for grow in (True, False)
    )
    grown.networks.lod.assign(1)
    assert 1 < step_flops(grown) / step_flops(whole) < 1.1  # the RGB layers at 4x4 come in addition
