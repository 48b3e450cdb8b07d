"""StyleGAN against numbers recorded from its authors' code, at every stage."""

import keras
import pytest
import tensorflow as tf

from config.backbones.stylegan import StyleGanConfig
from models.backbones.growth import GAIN
from models.backbones.stylegan import AdaptiveInstanceNorm, build_networks
from models.backbones.styles import build_mapper, mix_styles, truncate
from models.operations import fir_filter
from models.resampling import Resample2x
from tests.backbones.growing import (
    at_lod,
    differentiate,
    judge,
    named_weights,
    read_in_our_layouts,
    upsampling_kernel,
)
from tests.backbones.recordings import (
    GRADIENT,
    SECOND_ORDER,
    assert_close,
    assert_gradients,
    assign,
    with_prefix,
)
from train.losses import ADVERSARIAL_LOSSES
from train.penalties import r1_penalty

LOSS = ADVERSARIAL_LOSSES["non_saturating"]


@pytest.fixture(scope="module")
def recorded_stylegan(pytestconfig):
    """(arrays, config, networks with the recorded weights)."""
    arrays, config = read_in_our_layouts(pytestconfig, "stylegan")
    model = StyleGanConfig(
        channel_base=2 * config["fmap_base"],
        channel_max=config["fmap_max"],
        style_units=config["dlatent_size"],
        minibatch_stddev_group=config["mbstd_group_size"],
        mapping_layers=config["mapping_layers"],
        mapping_rate_multiplier=config["mapping_lrmul"],
        normalize_latents=True,
    )
    networks = build_networks(config["latent_size"], config["resolution"], model)
    mapper = build_mapper(
        config["latent_size"],
        config["num_layers"],
        model,
        "leaky_relu",
        hidden_units=config["mapping_fmaps"],
    )
    networks = networks._replace(mapper=mapper)
    assign(named_weights(networks), with_prefix(arrays, "weights/"))
    return arrays, config, networks


@pytest.mark.parametrize("lod", [0, 0.7, 1, 1.5])
def test_stylegan_every_lod(recorded_stylegan, lod):
    arrays, config, networks = recorded_stylegan
    networks.lod.assign(lod)
    expected = at_lod(arrays, lod)
    with tf.GradientTape(persistent=True) as tape:
        fake_images = networks.generate_from_scaled(arrays["z"])
        fake, fake_gradient = judge(networks, fake_images)
        real, real_gradient = judge(networks, arrays["real_images"])
        r1 = config["r1_gamma"] / 2 * r1_penalty(real_gradient)
        scores = LOSS.discriminator(real, fake)
        generator_loss = tf.reduce_mean(LOSS.generator(fake))
        discriminator_loss = tf.reduce_mean(scores) + tf.reduce_mean(r1)
    assert_close(fake_images, expected["fake_images"])
    assert_close(fake[:, None], expected["fake_adversarial"])
    assert_close(real[:, None], expected["real_adversarial"])
    values = {
        "fake_gradient": fake_gradient,
        "fake_gradient_square_sum": r1_penalty(fake_gradient),
        "real_gradient": real_gradient,
        "real_gradient_square_sum": r1_penalty(real_gradient),
        "g_loss": LOSS.generator(fake)[:, None],
        "d_loss_without_r1": scores[:, None],
        "d_loss": scores[:, None] + r1,  # the authors' sums of all pairs
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


def test_stylegan_styles_truncation_and_mixing(recorded_stylegan):
    arrays, _, networks = recorded_stylegan
    networks.lod.assign(0)
    styles, second = (networks.mapper(arrays[name]) for name in ("z", "z2"))
    for index in range(6):
        assert_close(styles[:, index], arrays["w"])
    assert_close(second[:, 0], arrays["w2"])
    synthesis = networks.present().synthesis
    for cutoff in (2, 8):
        truncated = truncate(styles, networks.mean_style, 0.7, cutoff)
        assert_close(synthesis(truncated), arrays[f"fake_images_psi07_cutoff{cutoff}"])
    assert_close(synthesis(mix_styles(styles, second, 3)), arrays["fake_images_mixed_cutoff3"])


def test_stylegan_training_moves_the_mean_style(recorded_stylegan):
    arrays, _, networks = recorded_stylegan
    before = networks.mean_style.numpy()
    networks.mapper(arrays["z"], training=True)
    assert_close(networks.mean_style, arrays["w_avg_after_update"])
    networks.mean_style.assign(before)


def test_stylegan_features(recorded_stylegan):
    arrays, _, networks = recorded_stylegan
    layers = {
        "4x4.Const": "constant", "4x4.Conv": "4_conv", "8x8.Conv0_up": "8_up",
        "8x8.Conv1": "8_conv", "16x16.Conv0_up": "16_up", "16x16.Conv1": "16_conv",
    }  # fmt: skip
    model = networks.synthesis
    outputs = {name: model.get_layer(f"{ours}_style").output for name, ours in layers.items()}
    computed = keras.Model(model.input, outputs)(networks.mapper(arrays["z"]))
    features = with_prefix(arrays, "features/synthesis.")
    assert features.keys() == layers.keys()
    for name, expected in features.items():
        assert_close(computed[name], expected, name=name)


@pytest.mark.parametrize(("size", "name"), [(64, "up_separate"), (128, "up_fused")])
def test_stylegan_flips_the_kernel_that_doubles_below_128_pixels(recorded_stylegan, size, name):
    arrays, _, _ = recorded_stylegan
    layer = Resample2x(5, True, taps=None, use_bias=False, gain=GAIN)
    layer.build(arrays["blocks/x"].shape)
    layer.kernel.assign(upsampling_kernel(arrays["blocks/w"], size))
    assert_close(layer(arrays["blocks/x"]), arrays[f"blocks/{name}"])


def test_stylegan_blocks(recorded_stylegan):
    arrays, _, _ = recorded_stylegan
    images = arrays["blocks/x"]
    assert_close(fir_filter(images, taps=(1.0, 2.0, 1.0)), arrays["blocks/blur"])
    layer = Resample2x(5, False, taps=None, use_bias=False, gain=GAIN)
    layer.build(images.shape)
    layer.kernel.assign(arrays["blocks/w"])
    assert_close(layer(images), arrays["blocks/down"])
    norm = AdaptiveInstanceNorm()  # the style's scale and shift are 0
    assert_close(norm(images, tf.zeros((2, 5))), arrays["blocks/instance_norm"])
