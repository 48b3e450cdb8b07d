"""Progressive GAN against numbers recorded from its authors' code, at every stage."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from config.backbones.karras import ProgressiveGanConfig
from models.backbones.growth import lower_detail
from models.backbones.progressive_gan import build_networks
from tests.backbones.growing import (
    at_lod,
    differentiate,
    judge,
    named_weights,
    read_in_our_layouts,
)
from tests.backbones.recordings import (
    FORWARD,
    GRADIENT,
    SECOND_ORDER,
    assert_close,
    assert_gradients,
    assign,
    with_prefix,
)
from train.penalties import drift_penalty, mix, r1_penalty, wgan_gp_penalty

LODS = [0, 0.7, 1, 1.3, 2]
LAYERS = {"Dense": "dense", "Conv": "conv", "Conv0_up": "up", "Conv1": "conv"}


@pytest.fixture(scope="module")
def recorded_progressive_gan(pytestconfig):
    """(arrays, config, networks with the recorded weights)."""
    arrays, config = read_in_our_layouts(pytestconfig, "progan")
    model = ProgressiveGanConfig(
        channel_base=2 * config["fmap_base"],
        channel_max=config["fmap_max"],
        minibatch_stddev_group=config["mbstd_group_size"],
        normalize_latents=True,
    )
    networks = build_networks(config["latent_size"], config["resolution"], model)
    assign(named_weights(networks), with_prefix(arrays, "weights/"))
    return arrays, config, networks


@pytest.mark.parametrize("lod", LODS)
def test_progressive_gan_every_lod(recorded_progressive_gan, lod):
    arrays, config, networks = recorded_progressive_gan
    networks.lod.assign(lod)
    expected = at_lod(arrays, lod)
    real_images = tf.constant(arrays["real_images"])
    values = {}
    with tf.GradientTape(persistent=True) as tape:
        fake_images = networks.generate_from_scaled(arrays["z"])
        fake, fake_gradient = judge(networks, fake_images)
        real, real_gradient = judge(networks, real_images)
        mixed = mix(real_images, tf.stop_gradient(fake_images), arrays["mixing_factors"])
        _, mixed_gradient = judge(networks, mixed)
        penalty = config["wgan_lambda"] * wgan_gp_penalty(mixed_gradient, config["wgan_target"])
        scores = fake - real + config["wgan_epsilon"] * drift_penalty(real)
        generator_loss = tf.reduce_mean(-fake)
        discriminator_loss = tf.reduce_mean(scores) + tf.reduce_mean(penalty)
    assert_close(fake_images, expected["fake_images"])
    assert_close(fake[:, None], expected["fake_adversarial"])
    assert_close(real[:, None], expected["real_adversarial"])
    values = {
        "fake_gradient": fake_gradient,
        "fake_gradient_norm": tf.sqrt(r1_penalty(fake_gradient)),
        "real_gradient": real_gradient,
        "real_gradient_norm": tf.sqrt(r1_penalty(real_gradient)),
        "mixed_gradient_norms": tf.sqrt(r1_penalty(mixed_gradient)),
        "gradient_penalty": penalty,
        "g_loss": -fake[:, None],
        "d_loss": scores[:, None] + penalty,  # the authors' sums of all pairs
    }
    for name in values.keys() & expected.keys():
        assert_close(values[name], expected[name], GRADIENT, name)
    if "d_loss" in expected:
        assert_gradients(
            differentiate(networks, tape, generator_loss, "generator"), expected, "g_loss"
        )
        assert_gradients(
            differentiate(networks, tape, discriminator_loss, "discriminator"),
            expected,
            "d_loss",
            SECOND_ORDER,
        )


def test_progressive_gan_features(recorded_progressive_gan):
    arrays, _, networks = recorded_progressive_gan
    features = with_prefix(arrays, "features/generator.")
    layers = {"latents": "normalize"}
    for name in features.keys() - layers:
        size, kind = name.split("x")[0], name.split(".")[1]
        layers[name] = f"{size}_{LAYERS[kind]}_norm"
    model = networks.synthesis
    outputs = {name: model.get_layer(layer).output for name, layer in layers.items()}
    computed = keras.Model(model.input, outputs)(arrays["z"])
    for name, expected in features.items():
        assert_close(computed[name], expected, FORWARD, name)


@pytest.mark.parametrize("lod", LODS)
def test_progressive_gan_real_images(recorded_progressive_gan, lod):
    arrays, _, _ = recorded_progressive_gan
    level = int(lod)
    # The recorded images are every 2^level-th pixel; real training takes means.
    images = arrays["reals_uint8"][:, :: 2**level, :: 2**level] / np.float32(127.5) - 1
    images = images.repeat(2**level, axis=1).repeat(2**level, axis=2)
    assert_close(lower_detail(images, lod), arrays[f"lod{lod}/processed_reals"], FORWARD)
