"""Inversion of images by optimisation: recorded trajectories, schedules, losses, and commands.

The numbers were recorded from StyleGAN2-ADA's projector and from the authors' in-domain inversion,
with small networks in place of theirs.
"""

import csv
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from config import Config
from data.images import to_uint8
from evaluate.features.networks import FeatureNetwork
from evaluate.inversion.methods.choices import METHODS, Choice, list_paces, projector_pace
from evaluate.inversion.methods.features import body
from evaluate.inversion.methods.invert import Inverting
from evaluate.inversion.methods.optimisation import (
    Problem,
    compile_gradient,
    mean_and_spread,
    optimise,
    projection_loss,
    reconstruction_loss,
)
from evaluate.inversion.methods.spaces import open_space
from evaluate.measuring import Measuring
from evaluate.trained_run import TrainedRun
from models import build_networks
from tests.conftest import SMALLEST, STYLED, TINY, merge, write_folder
from tests.test_trained_commands import pixels, small
from train.adam import Adam
from train.losses import ADVERSARIAL_LOSSES

RECORDED = dict(np.load(Path(__file__).parent / "recorded" / "inversion_of_images.npz"))


def of(prefix):
    return {k.removeprefix(prefix): v for k, v in RECORDED.items() if k.startswith(prefix)}


def halve(maps):
    """Means of 2x2 values of maps (..., height, width)."""
    *rest, height, width = (-1 if size is None else size for size in maps.shape)
    return tf.reduce_mean(tf.reshape(maps, (*rest, height // 2, 2, width // 2, 2)), axis=(-3, -1))


def double(maps):
    return tf.repeat(tf.repeat(maps, 2, axis=-2), 2, axis=-1)


def test_the_projectors_schedules_are_as_recorded():
    recorded = of("schedule/")
    paces = [projector_pace(int(step), 1000) for step in recorded["steps"]]
    rates, noises = np.transpose(paces)
    np.testing.assert_allclose(rates, recorded["learning_rate"], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(noises, recorded["noise_over_w_std"], rtol=1e-5, atol=1e-9)
    assert list_paces(METHODS["optimise"], 1000)[:2] == [(0.0, 0.05), projector_pace(1, 1000)]
    assert list_paces(METHODS["hybrid"], 2) == [(0.01, 0.0)] * 2


class NoiseMaps:
    """The noise maps of the recorded generator, which are optimised beside w; ours has none."""

    def __init__(self, *maps):
        self.maps = [tf.Variable(each) for each in maps]
        self.adam = Adam(self.maps, learning_rate=0.0)

    def descend(self, rate, loss):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(loss()) + 1e5 * sum(map(self._penalty, self.maps))
        slopes = tape.gradient(total, self.maps)
        self.adam.learning_rate = rate
        self.adam.apply(slopes)
        for each in self.maps:
            each.assign_sub(tf.fill(each.shape, tf.reduce_mean(each)))
            each.assign(each * tf.math.rsqrt(tf.reduce_mean(tf.square(each))))

    @staticmethod
    def _penalty(noise):
        total = 0.0
        while True:
            for axis in (0, 1):
                total += tf.square(tf.reduce_mean(noise * tf.roll(noise, 1, axis)))
            if noise.shape[0] <= 8:
                return total
            noise = halve(noise)


def test_the_projectors_trajectory_is_as_recorded():
    recorded = of("projector/")
    noise = NoiseMaps(recorded["noise8_init"], recorded["noise16_init"])

    def generate(codes):
        by_layer = tf.repeat(codes[:, None], 3, axis=1)
        maps = tf.reshape(tf.einsum("nlw,lwp->np", by_layer, recorded["A"]), (-1, 3, 16, 16))
        return tf.tanh(maps + 0.1 * (double(noise.maps[0]) + noise.maps[1]))

    def features(images):
        return halve((images + 1.0) * 127.5) / 255.0

    mean, spread = mean_and_spread(
        np.tanh(recorded["z_samples"].astype(np.float32) @ recorded["M"])
    )
    problem = Problem(generate, features, None, spread)
    images = tf.constant(recorded["target"][None] / np.float32(127.5) - 1.0)
    method, steps = METHODS["optimise"], len(recorded["w_steps"])
    draws, before = recorded["w_noise"], tf.constant(mean[None])
    gradient = compile_gradient(problem, method, before, images)
    codes_by_step = optimise(
        gradient, problem, method, images, before, steps, lambda step: draws[step]
    )
    found = []
    for step, (codes, _) in enumerate(codes_by_step):
        pace = projector_pace(step, steps)
        noisy = before + draws[step] * (pace.noise * spread)
        noise.descend(
            pace.rate,
            lambda noisy=noisy: projection_loss(features(images), features(generate(noisy))),
        )
        found.append(codes.numpy()[0])
        before = codes
    np.testing.assert_allclose(found, recorded["w_steps"], atol=1e-5)


@pytest.mark.parametrize("name", ["in_domain", "hybrid"])
def test_trajectories_from_the_encoder_are_as_recorded(name):
    layers, encoder = RECORDED["projector/A"], RECORDED["inverter/encoder"]

    def generate(codes):
        maps = tf.tanh(tf.einsum("nlw,lwp->np", codes, layers))
        return tf.reshape(maps, (-1, 3, 16, 16))

    def encode(images):
        return tf.reshape(tf.reshape(images, (-1, 768)) @ encoder, (-1, 3, 5))

    problem = Problem(
        generate,
        lambda images: 20.0 * halve(images),
        lambda z, images: tf.reduce_mean(tf.square(z - encode(images)), axis=(1, 2)),
        spread=1.0,
    )
    images = tf.constant(RECORDED["inverter/image"][None])
    method, start = METHODS[name], encode(images)
    gradient, no_noise = compile_gradient(problem, method, start, images), tf.zeros((3, 5))
    steps = optimise(gradient, problem, method, images, start, 100, lambda step: no_noise)
    found = [start[0], *(step.codes[0] for step in steps)]
    recorded = RECORDED[f"inverter/{name}/z_after_0_1_5_100"]
    np.testing.assert_allclose(np.array(found)[[0, 1, 5, 100]], recorded, atol=1e-5)


def test_the_losses_of_in_domain_training_are_as_recorded():
    """Mean squares of pixels and features, with the adversarial terms of the encoder's training."""
    recorded = of("idinvert_training/")
    loss = reconstruction_loss(
        *(
            tf.constant(recorded[name])
            for name in ("real", "reconstruction", "real_features", "reconstruction_features")
        )
    )
    adversarial = ADVERSARIAL_LOSSES["non_saturating"]
    of_encoder = tf.reduce_mean(loss) + 0.08 * tf.reduce_mean(
        adversarial.generator(recorded["fake_score"])
    )
    np.testing.assert_allclose(of_encoder, recorded["encoder_loss"], rtol=1e-6)
    r1 = np.sum(recorded["real_gradient"] ** 2, axis=(1, 2, 3))
    of_discriminator = tf.reduce_mean(
        adversarial.discriminator(recorded["real_score"], recorded["fake_score"])
    )
    np.testing.assert_allclose(
        of_discriminator + 5.0 * r1.mean(), recorded["discriminator_loss"], rtol=1e-6
    )


@pytest.fixture
def photo_folder(tmp_path, photos):
    write_folder(tmp_path / "photos", photos(5))
    return tmp_path / "photos"


def read_metrics(folder):
    """{column: values of all images}."""
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    return {name: [float(r[name]) for r in rows] for name in rows[0] if name != "image"}


def noise_images(trained, count=3):
    shape = (count, *trained.networks.image_shape)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("space", ["z", "w"])
def test_hybrid_without_steps_is_the_encoder(trained, space):
    images = noise_images(trained)
    encoder = Inverting(trained, Choice("encoder", 0, space))(images)
    hybrid = Inverting(trained, Choice("hybrid", 0, space))(images)
    for name in ("codes", "images", "psnr", "ssim", "history"):
        np.testing.assert_array_equal(getattr(hybrid, name), getattr(encoder, name))
    if space == "z":
        np.testing.assert_array_equal(encoder.codes, trained.encode(images))
        np.testing.assert_array_equal(encoder.images, trained.generate(encoder.codes))
    assert encoder.passes == 1


def test_hybrid_never_ends_below_the_encoder(trained):
    images = noise_images(trained)
    encoder = Inverting(trained, Choice("encoder", 0))(images)
    hybrid = Inverting(trained, Choice("hybrid", 6))(images)
    assert np.all(hybrid.psnr >= encoder.psnr)
    assert np.median(hybrid.psnr - encoder.psnr) > 0.01
    np.testing.assert_array_equal(hybrid.history[0], encoder.psnr)
    np.testing.assert_array_equal(hybrid.history.max(axis=0), hybrid.psnr)
    assert hybrid.passes == 8  # the start, one a step, the end


@pytest.mark.usefixtures("untraced")
def test_images_do_not_depend_on_others(trained):
    """Of the same batch."""
    images = noise_images(trained)
    inverting = Inverting(trained, Choice("optimise", 2))
    together, alone = inverting(images).codes[2:], inverting(images[2:]).codes
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.abs(alone).min() > 0


def test_the_regulariser_compares_codes_with_those_that_the_encoder_recovers(trained):
    latents, others = trained.sample_latents(3, 1), trained.sample_latents(3, 2)
    networks, scale = trained.networks, trained.scale
    codes, error = open_space(trained, networks, "z"), (latents - others) * scale
    np.testing.assert_allclose(
        codes.distance(latents, others), np.mean(error**2, axis=1), rtol=1e-5
    )
    codes = open_space(trained, networks, "w")
    w, other_w = (np.asarray(networks.styles(z * scale)) for z in (latents, others))
    np.testing.assert_allclose(
        codes.distance(w, others), np.mean((w - other_w) ** 2, axis=1), rtol=1e-4
    )


@pytest.mark.usefixtures("untraced")
def test_optimising_begins_at_the_mean(trained):
    images = noise_images(trained)
    found = Inverting(trained, Choice("optimise", 0))(images)
    np.testing.assert_array_equal(found.codes, np.zeros((3, 6)))
    found = Inverting(trained, Choice("optimise", 0, "w"))(images)
    latents = trained.sample_latents(10_000, 123)
    mean = np.asarray(trained.networks.styles(latents * trained.scale)).mean(axis=0)
    np.testing.assert_allclose(found.codes, np.tile(mean, (3, 1)), atol=1e-4)


@pytest.mark.usefixtures("untraced")
def test_refine_is_short_for_hybrid(to_folder, photo_folder, trained):
    short = to_folder("reconstruct", photo_folder, "--refine", 1)
    values = read_metrics(short)
    assert list(values) == ["psnr", "ssim", "hybrid_psnr", "hybrid_ssim"]
    latents = np.load(short / "latents.npz")["latents"]
    (short.parent / "reconstruct").rename(short.parent / "short")
    whole = to_folder("reconstruct", photo_folder, "--method", "hybrid", "--steps", 1)
    np.testing.assert_array_equal(latents, np.load(whole / "latents.npz")["latents"])
    images = to_uint8(trained.generate(latents)).astype(int)
    sheet = pixels(whole / "sheet.png").astype(int)
    np.testing.assert_allclose(sheet[:48:6, 100:148:6], images[0], atol=1)


@pytest.mark.usefixtures("untraced")
def test_optimising_is_compared_without_the_encoder(command, trained, photo_folder, tmp_path):
    out = tmp_path / "out"
    arguments = ("--method", "optimise", "--steps", 2, "--space", "w", "--out", out)
    code, output, _ = command("reconstruct", trained.folder.path, photo_folder, *arguments)
    assert code == 0
    assert (
        "optimise: 2 steps in w; features compared: the discriminator's own, before its heads"
        in output
    )
    assert list(read_metrics(out)) == ["optimise_psnr", "optimise_ssim"]
    stored = np.load(out / "w.npz")
    assert (stored["w"].shape, len(stored["names"])) == ((5, 8), 5)
    images = to_uint8(np.clip(trained.networks.generate_from_styles(stored["w"]), -1, 1))
    np.testing.assert_allclose(small(pixels(out / "sheet.png"), 0, 1), images[0], atol=1)
    assert not (out / "latents.npz").exists()


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(
    ("space", "file", "shape"), [("w", "w", (2, 6)), ("w+", "w_plus", (2, 6, 6))]
)
def test_codes_of_a_backbone_with_styles(styled, command, tmp_path, photos, space, file, shape):
    write_folder(tmp_path / "photos", photos(2))
    out = tmp_path / "out"
    arguments = ("--method", "optimise", "--steps", 2, "--space", space, "--out", out)
    assert command("reconstruct", styled, tmp_path / "photos", *arguments)[0] == 0
    codes = np.load(out / f"{file}.npz")[file]
    assert codes.shape == shape
    styles = codes if space == "w+" else np.repeat(codes[:, None], 6, axis=1)
    assert np.ptp(styles[0], axis=0).max() > 0 or space == "w"
    networks = TrainedRun(styled).networks
    images = to_uint8(np.clip(networks.generate_from_styles(styles), -1, 1)).astype(int)
    np.testing.assert_allclose(pixels(out / "images" / "photo_000.png"), images[0], atol=1)


def test_features_of_the_evaluation_can_be_compared(trained, monkeypatch):
    """Its network is loaded by the method alone, and stays as long as it is used."""

    def load(*_):
        layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(5)]
        return FeatureNetwork(keras.Sequential(layers), (8, 8), "features of dense.keras")

    monkeypatch.setattr(Measuring, "load_features", load)
    inverting = Inverting(trained, Choice("optimise", 2, features="evaluate"))
    assert inverting.features == "features of dense.keras, which FID judges by too"
    images = noise_images(trained)
    assert inverting.problem.features(images).shape == (3, 5)
    assert np.abs(inverting(images).codes).min() > 0


@pytest.mark.parametrize(
    ("model", "width"),
    [
        (TINY["model"], 4 * 4 * 8),
        (STYLED["model"], None),
        ({"backbone": "progressive_gan", "channel_base": 32}, None),
    ],
)
def test_the_discriminators_features_are_its_last_feature_maps(model, width):
    config = Config.model_validate(TINY | {"model": model})
    networks = build_networks(config, "float32").present()
    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 3)), tf.float32)
    features = body(networks)(images)
    assert features.shape[0] == 3
    assert width in (None, features.shape[1])


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("method", ["bigan", "ali", "infogan", "post_hoc_encoder"])
def test_the_encoder_of_each_training_method_has_features_too(method):
    changes = {"latent.dynamic_scale": False, "train.method": method}
    changes |= {"infogan": {"train.infogan_codes": 2}}.get(method, {})
    changes |= {"post_hoc_encoder": {"train.from_run": "gan"}}.get(method, {})
    config = Config.model_validate(merge(TINY, SMALLEST | changes))
    features = body(build_networks(config, "float32"))(tf.zeros((3, 8, 8, 3)))
    assert features.shape == (3, 4 * 4 * 8)
