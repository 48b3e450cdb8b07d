"""StyleGAN2 against numbers recorded from its authors' code."""

import re

import keras
import pytest
import tensorflow as tf

from config.backbones.stylegan import StyleGan2Config
from models.backbones.stylegan2 import build_networks, build_synthesis
from models.backbones.styles import mix_styles, truncate
from tests.backbones.recordings import (
    GRADIENT,
    SECOND_ORDER,
    assert_close,
    assert_gradients,
    assign,
    dense_after_channels_first,
    from_torch,
    read_recorded,
    with_prefix,
)
from train.losses import ADVERSARIAL_LOSSES
from train.penalties import path_length_penalty, path_lengths, r1_penalty

LOSS = ADVERSARIAL_LOSSES["non_saturating"]
SHORT = {
    "dense": "b4.fc",
    "adversarial": "b4.out",
    "style/kernel": "affine.weight",
    "style/bias": "affine.bias",
    "noise/strength": "noise_strength",
    "noise/constant": "noise_const",
    "constant/constant": "b4.const",
    "kernel": "weight",
}
SYNTHESIS_LAYERS = {"up": "conv0", "conv": "conv1", "to_rgb": "torgb"}
DISCRIMINATOR_LAYERS = {"conv": "conv0", "down": "conv1", "skip": "skip"}


def keys_of(config, **changes):
    """The recorded networks' section of a config, all layers as the authors have them."""
    return StyleGan2Config(
        style_units=config["w_dim"],
        mapping_layers=config["mapping_layers"],
        channel_base=config["channel_base"],
        channel_max=config["channel_max"],
        minibatch_stddev_group=config["mbstd_group_size"],
        normalize_latents=True,
        allow_ambiguous_latents=True,
        **changes,
    )


def recorded_name(path, layers):
    """The authors' name of a weight: "16_up/style/kernel" is b16.conv0.affine.weight."""
    for name, theirs in SHORT.items():
        path = re.sub(f"(^|/){name}(?=/|$)", rf"\1{theirs}", path)
    for name, theirs in layers.items():
        path = re.sub(f"^(\\d+)_{name}/", rf"b\1.{theirs}.", path)
    return path.replace("/", ".")


def named_mapper(mapper):
    """{the authors' name: weight} of a mapping network, and of its mean style."""
    return {
        "w_avg" if w.name == "mean_style" else recorded_name(w.path, {}).replace("dense_", "fc"): w
        for w in mapper.weights
    }


def named_discriminator(discriminator):
    """{the authors' name: weight} of a discriminator, without those of the encoder's heads."""
    names = {}
    size = discriminator.input_shape[1]
    for weight in discriminator.weights:
        path = weight.path.replace("from_rgb/", f"b{size}.fromrgb/").replace("4_conv/", "b4.conv/")
        if not path.startswith("latent/"):
            names[recorded_name(path, DISCRIMINATOR_LAYERS)] = weight
    return names


def named_weights(networks):
    """{the authors' name: weight} of all networks."""
    synthesis = {recorded_name(w.path, SYNTHESIS_LAYERS): w for w in networks.synthesis.weights}
    return (
        {f"generator.synthesis.{name}": weight for name, weight in synthesis.items()}
        | {f"generator.mapping.{n}": weight for n, weight in named_mapper(networks.mapper).items()}
        | {
            f"discriminator.{name}": weight
            for name, weight in named_discriminator(networks.discriminator).items()
        }
    )


def to_our_layout(name, array):
    """A recorded weight, or its gradient."""
    if name.endswith("noise_const"):
        return array[None, :, :, None]
    if name.endswith("const"):
        return array.transpose(1, 2, 0)[None]
    if re.search(r"synthesis.*conv0.weight", name):
        return array.transpose(2, 3, 0, 1)  # transposed convolutions: (height, width, out, in)
    if name.endswith("b4.fc.weight"):
        return dense_after_channels_first(from_torch(array))
    return from_torch(array)


def read_in_our_layouts(pytestconfig, name, to_our_layout):
    """As `read_recorded`, with weights and their gradients in our layouts."""
    arrays, config = read_recorded(pytestconfig, name)
    arrays = {
        key: to_our_layout(key, a) if re.match(r"(weights|grad_[A-Za-z0-9]+)/", key) else a
        for key, a in arrays.items()
    }
    return arrays, config


@pytest.fixture(scope="module")
def recorded_stylegan2(pytestconfig):
    """(arrays, config, networks with the recorded weights)."""
    arrays, config = read_in_our_layouts(pytestconfig, "stylegan2", to_our_layout)
    networks = build_networks(config["z_dim"], config["img_resolution"], keys_of(config))
    assign(named_weights(networks), with_prefix(arrays, "weights/"))
    return arrays, config, networks


def rebuild(config, networks, **changes):
    """A synthesis network with other keys and the same weights."""
    keys = keys_of(config, **changes)
    synthesis = build_synthesis(config["num_ws"], config["img_resolution"], keys)
    weights = {weight.path: weight for weight in networks.synthesis.weights}
    for weight in synthesis.weights:
        weight.assign(weights[weight.path])
    return synthesis


def differentiate(named, tape, loss, network):
    """{the authors' name: gradient} of a loss, for the trained weights of one network."""
    trained = {n: w.value for n, w in named.items() if n.startswith(network) and w.trainable}
    zero = tf.UnconnectedGradients.ZERO
    return tape.gradient(loss, trained, unconnected_gradients=zero)


def test_stylegan2_images_and_features(recorded_stylegan2):
    arrays, _, networks = recorded_stylegan2
    assert_close(networks.generate_from_scaled(arrays["z"]), arrays["fake_images"])
    features = with_prefix(arrays, "features/synthesis.")
    layers = {
        recorded_name(f"{layer.name}/", SYNTHESIS_LAYERS).rstrip("."): layer.output
        for layer in networks.synthesis.layers
    }
    assert features.keys() <= layers.keys()
    model = keras.Model(networks.synthesis.input, [layers[name] for name in features])
    for (name, expected), value in zip(
        features.items(), model(networks.mapper(arrays["z"])), strict=True
    ):
        assert_close(value, expected, name=name)


def test_stylegan2_noise(recorded_stylegan2, monkeypatch):
    arrays, config, networks = recorded_stylegan2
    styles = networks.mapper(arrays["z"])
    without = rebuild(config, networks, noise="none")
    assert_close(without(styles), arrays["fake_images_no_noise"])
    maps = iter(with_prefix(arrays, "random_noise/").values())  # in the order of the layers

    def next_map(shape, **options):
        noise = next(maps)[..., None]
        assert noise.shape == tuple(shape)
        return noise

    synthesis = rebuild(config, networks, noise="random")
    assert_close(synthesis(styles), arrays["fake_images"])
    monkeypatch.setattr(keras.random, "normal", next_map)
    assert_close(synthesis(styles, training=True), arrays["fake_images_random_noise"])
    assert next(maps, None) is None


def test_stylegan2_truncation_and_mixing(recorded_stylegan2):
    arrays, _, networks = recorded_stylegan2
    styles = networks.mapper(arrays["z"])
    for cutoff, name in ((None, "psi07"), (2, "psi07_cutoff2")):
        images = networks.synthesis(truncate(styles, networks.mean_style, 0.7, cutoff))
        assert_close(images, arrays[f"fake_images_{name}"], name=name)
    second = networks.mapper(arrays["z2"])
    assert_close(second[:, 0], arrays["w2"])
    mixed = networks.synthesis(mix_styles(styles, second, 3))
    assert_close(mixed, arrays["fake_images_mixed_cutoff3"])


def test_stylegan2_discriminator(recorded_stylegan2):
    arrays, _, networks = recorded_stylegan2
    discriminator, fakes = networks.discriminator, arrays["fake_images"]
    names = ("16_rescale", "8_rescale", "stddev")
    model = keras.Model(
        discriminator.input, [discriminator.get_layer(name).output for name in names]
    )
    *blocks, (with_stddev, _) = model(fakes)
    assert_close(blocks[0], arrays["features/discriminator.b16"])
    assert_close(blocks[1], arrays["features/discriminator.b8"])
    assert_close(with_stddev, arrays["features/discriminator.b4.mbstd"])
    features = discriminator.get_layer("4_conv")(with_stddev)
    assert_close(features, arrays["features/discriminator.b4.conv"])
    features = discriminator.get_layer("dense")(discriminator.get_layer("flatten")(features))
    assert_close(features, arrays["features/discriminator.b4.fc"])
    assert_values_and_gradients(networks, arrays)


def assert_values_and_gradients(networks, arrays):
    """Compare adversarial values of fakes and reals, and their gradients with respect to these."""
    for kind, images in (("fake", arrays["fake_images"]), ("real", arrays["real_images"])):
        images = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            adversarial = networks.discriminate(images)[0]
        gradient = tape.gradient(adversarial, images)
        assert_close(adversarial[:, None], arrays[f"{kind}_adversarial"])
        assert_close(gradient, arrays[f"{kind}_gradient"], GRADIENT)
        assert_close(r1_penalty(gradient), arrays[f"{kind}_gradient_square_sum"], GRADIENT)


def test_stylegan2_recovered_latents_do_not_depend_on_the_batch(recorded_stylegan2):
    arrays, _, networks = recorded_stylegan2
    adversarial, latents = networks.discriminate(arrays["real_images"])
    alone = networks.discriminate(arrays["real_images"][:1])
    assert_close(alone[1][0], latents[0])
    assert abs(alone[0][0] - adversarial[0]) > 1e-3


def recorded_losses(networks, arrays, gamma):
    """(tape, loss, network, tag, tolerance) of both networks' losses, and of R1."""
    with tf.GradientTape(persistent=True) as tape:
        fakes = networks.generate_from_scaled(arrays["z"])
        generator_loss = tf.reduce_mean(LOSS.generator(networks.discriminate(fakes)[0]))
        fake_adversarial = networks.discriminate(tf.stop_gradient(fakes))[0]
        reals = tf.constant(arrays["real_images"])
        with tf.GradientTape() as inner:
            inner.watch(reals)
            real_adversarial = networks.discriminate(reals)[0]
        r1 = tf.reduce_mean(gamma / 2 * r1_penalty(inner.gradient(real_adversarial, reals)))
        discriminator_loss = tf.reduce_mean(LOSS.discriminator(real_adversarial, fake_adversarial))
    return (
        (tape, generator_loss, "generator", "Gmain", GRADIENT),
        (tape, discriminator_loss, "discriminator", "Dmain", GRADIENT),
        (tape, r1, "discriminator", "Dreg", SECOND_ORDER),
    )


def test_stylegan2_gradients_of_losses(recorded_stylegan2):
    arrays, config, networks = recorded_stylegan2
    named = named_weights(networks)
    for tape, loss, network, tag, tolerance in recorded_losses(
        networks, arrays, config["r1_gamma"]
    ):
        assert_gradients(differentiate(named, tape, loss, network), arrays, tag, tolerance)


def test_stylegan2_path_length(recorded_stylegan2):
    arrays, config, networks = recorded_stylegan2
    noise = arrays["pl_noise"] / config["img_resolution"]
    with tf.GradientTape() as tape:
        styles = networks.mapper(arrays["z"][:2])
        with tf.GradientTape() as inner:
            inner.watch(styles)
            total = tf.reduce_sum(networks.synthesis(styles) * noise)
        lengths = path_lengths(inner.gradient(total, styles))
        penalty, mean = path_length_penalty(
            lengths, arrays["pl_mean_before"], 1 - config["pl_decay"]
        )
        loss = config["pl_weight"] * tf.reduce_mean(penalty)
    assert_close(mean, arrays["pl_mean_after"], GRADIENT)
    assert_close(lengths, arrays["pl_lengths"], GRADIENT)
    assert_close(penalty, arrays["pl_penalty"], GRADIENT)
    assert_gradients(
        differentiate(named_weights(networks), tape, loss, "generator"),
        arrays,
        "Greg",
        SECOND_ORDER,
    )
