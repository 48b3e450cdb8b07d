"""Progressive GAN against numbers recorded from the authors' code, through every stage of growth."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from config.backbones import ProgressiveGanConfig
from models.backbones.growth import lower_detail
from models.backbones.progressive_gan import build_networks
from tests.recorded_backbones import (
    FORWARD,
    GRADIENT,
    SECOND_ORDER,
    assert_close,
    assert_gradients,
    assign,
    dense_after_channels_first,
    read_recorded,
    with_prefix,
)
from train.penalties import drift_penalty, mix, r1_penalty, wgan_gp_penalty

LODS = [0, 0.7, 1, 1.3, 2]
PARTS = {"4x4.Dense0": "dense", "4x4.Dense1": "adversarial"}
KINDS = {"Dense": "dense", "Conv": "conv", "Conv0": "conv", "Conv1": "conv"}
KINDS |= {"Conv0_up": "up", "Conv1_down": "down"}


@pytest.fixture(scope="module")
def recorded(pytestconfig):
    arrays, config = read_recorded(pytestconfig, "progan")
    return {name: in_our_layout(name, array) for name, array in arrays.items()}, config


def in_our_layout(name, array):
    """A recorded weight or its gradient as our layers have it: channels last at the 4x4 dense."""
    if name.endswith("4x4.Dense0.weight") and array.ndim == 2:
        return dense_after_channels_first(array)
    if name.endswith("4x4.Dense.weight") and array.ndim == 2:
        pixels = array.reshape(array.shape[0], -1, 4, 4)
        return pixels.transpose(0, 2, 3, 1).reshape(array.shape)
    return array


@pytest.fixture(scope="module")
def networks(recorded):
    arrays, config = recorded
    model = ProgressiveGanConfig(
        channel_base=2 * config["fmap_base"],
        channel_max=config["fmap_max"],
        minibatch_stddev_group=config["mbstd_group_size"],
        normalize_latents=True,
    )
    networks = build_networks(config["latent_size"], config["resolution"], model)
    weights = with_prefix(arrays, "weights/")
    assign({name: variable_of(networks, name) for name in weights}, weights)
    return networks


def variable_of(networks, name):
    """Our variable for a recorded name such as generator.8x8.Conv0_up.weight."""
    network, layer, kind = name.split(".", 1)[0], *name.split(".", 1)[1].rsplit(".", 1)
    part = networks.synthesis if network == "generator" else networks.discriminator
    if "lod" in layer:
        kind_of_rgb, lod = layer.split("_lod")
        size = networks.image_shape[0] >> int(lod)
        ours = f"{size}_{'to' if kind_of_rgb == 'ToRGB' else 'from'}_rgb"
    else:
        size, _, name = layer.partition(".")
        ours = PARTS.get(layer) or f"{size.partition('x')[0]}_{KINDS[name]}"
    if (ours, kind) == ("4_dense", "bias"):
        ours = "4_bias"
    return getattr(part.get_layer(ours), {"weight": "kernel"}.get(kind, kind))


@pytest.fixture(scope="module")
def measure(recorded, networks):
    """A function of the lod: whatever is recorded at a lod."""
    arrays, _ = recorded
    names = list(with_prefix(arrays, "weights/"))
    variables = {name: variable_of(networks, name) for name in names}

    def gradients(tape, loss, network):
        ours = {name: v for name, v in variables.items() if name.startswith(network)}
        values = [v.value for v in ours.values()]
        return dict(
            zip(ours, tape.gradient(loss, values, unconnected_gradients="zero"), strict=True)
        )

    def judge(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            adversarial = networks.discriminate(images, training=True)[0]
        gradient = tape.gradient(adversarial, images)
        return adversarial, gradient, tf.sqrt(r1_penalty(gradient))

    def measure(lod):
        networks.lod.assign(lod)
        values = {}
        with tf.GradientTape(persistent=True) as tape:
            fake = values["fake_images"] = networks.generate_from_scaled(arrays["z"], training=True)
            for name, images in {"fake": fake, "real": tf.constant(arrays["real_images"])}.items():
                adversarial, gradient, norm = judge(images)
                values |= {f"{name}_adversarial": adversarial, f"{name}_gradient": gradient}
                values[f"{name}_gradient_norm"] = norm
            mixed = mix(tf.constant(arrays["real_images"]), fake, arrays["mixing_factors"])
            _, gradient, values["mixed_gradient_norms"] = judge(mixed)
            real = values["real_adversarial"]
            values["gradient_penalty"] = 10 * wgan_gp_penalty(gradient)
            values["g_loss"] = -values["fake_adversarial"]
            d_loss = values["fake_adversarial"] - real + 0.001 * drift_penalty(real)
            d_mean = tf.reduce_mean(d_loss) + tf.reduce_mean(values["gradient_penalty"])
            g_mean = tf.reduce_mean(values["g_loss"])
        values["d_loss"] = d_loss[:, None] + values["gradient_penalty"]
        return values, gradients(tape, g_mean, "generator"), gradients(tape, d_mean, "discrimin")

    return measure


@pytest.mark.parametrize("lod", LODS)
def test_every_lod_as_recorded(recorded, measure, lod):
    expected = with_prefix(recorded[0], f"lod{lod}/")
    values, generator_gradients, discriminator_gradients = measure(lod)
    for name, value in values.items():
        if name in expected:
            tolerance = GRADIENT if "gradient" in name or name == "d_loss" else FORWARD
            assert_close(np.ravel(value), np.ravel(expected[name]), tolerance, name)
    if lod in (0, 0.7):
        assert_gradients(generator_gradients, expected, "g_loss")
        assert_gradients(discriminator_gradients, expected, "d_loss", SECOND_ORDER)


def test_features_as_recorded(recorded, networks):
    arrays, _ = recorded
    features = with_prefix(arrays, "features/generator.")
    layers = {"latents": "normalize"}
    for name in features.keys() - layers:
        size, kind = name.split("x")[0], name.split(".")[1]
        layers[name] = f"{size}_{KINDS[kind]}_norm"
    model = networks.synthesis
    outputs = {name: model.get_layer(layer).output for name, layer in layers.items()}
    computed = keras.Model(model.input, outputs)(arrays["z"])
    for name, expected in features.items():
        assert_close(computed[name], expected, FORWARD, name)


@pytest.mark.parametrize("lod", LODS)
def test_real_images_as_recorded(recorded, lod):
    arrays, _ = recorded
    level = int(lod)
    # The recorded images are every 2^level-th pixel; real training takes means.
    images = arrays["reals_uint8"][:, :: 2**level, :: 2**level] / np.float32(127.5) - 1
    images = images.repeat(2**level, axis=1).repeat(2**level, axis=2)
    expected = arrays[f"lod{lod}/processed_reals"]
    assert_close(lower_detail(images, lod), expected, FORWARD)
