"""StyleGAN3, configurations T and R, against numbers recorded from its authors' code."""

import re

import keras
import numpy as np
import pytest

from config.backbones import BACKBONES
from models.backbones.signals import plan_signals
from models.backbones.stylegan3 import FilteredLeakyReLU, blur, build_networks
from models.backbones.styles import mix_styles, truncate
from tests.backbones.recordings import (
    assert_close,
    assert_gradients,
    assign,
    with_prefix,
)
from tests.backbones.stylegan2 import (
    assert_values_and_gradients,
    differentiate,
    named_discriminator,
    named_mapper,
    read_in_our_layouts,
    recorded_losses,
)
from tests.backbones.stylegan2 import to_our_layout as to_layout_of_stylegan2

SHORT = {
    "style/kernel": "affine.weight",
    "style/bias": "affine.bias",
    "placement_kernel": "affine.weight",
    "placement_bias": "affine.bias",
    "frequencies": "freqs",
    "mean_square": "magnitude_ema",
    "kernel": "weight",
}


def keys_of(config):
    """The recorded networks' section of a config, all layers as the authors have them."""
    return BACKBONES[f"stylegan3_{config['config']}"](
        style_units=config["w_dim"],
        channel_base=config["channel_base"],
        channel_max=config["channel_max"],
        minibatch_stddev_group=config["mbstd_group_size"],
        normalize_latents=True,
        allow_ambiguous_latents=True,
    )


def named_weights(networks, config):
    """{the authors' name: weight} of all networks."""
    layers = [layer["name"] for layer in config["layers"]]
    names = {}
    for weight in networks.synthesis.weights:
        layer, name = weight.path.replace("to_rgb/", "conv_14/").split("/", 1)
        layer = "input" if layer == "input" else layers[1 + int(layer.split("_")[1])]
        names[f"generator.synthesis.{layer}.{SHORT.get(name, name)}"] = weight
    return (
        names
        | {f"generator.mapping.{n}": weight for n, weight in named_mapper(networks.mapper).items()}
        | {
            f"discriminator.{name}": weight
            for name, weight in named_discriminator(networks.discriminator).items()
        }
    )


def to_our_layout(name, array):
    """A recorded weight, or its gradient; buffers of the input are as ours."""
    if re.search(r"input\.(freqs|transform)", name):
        return array
    return to_layout_of_stylegan2(name, array)


@pytest.fixture(scope="module", params=["t", "r"])
def recorded_stylegan3(request, pytestconfig):
    """(arrays, config, networks with the recorded weights)."""
    arrays, config = read_in_our_layouts(pytestconfig, f"stylegan3_{request.param}", to_our_layout)
    networks = build_networks(config["z_dim"], config["img_resolution"], keys_of(config))
    assign(named_weights(networks, config), with_prefix(arrays, "weights/"))
    return arrays, config, networks


@pytest.mark.parametrize("configuration", ["t", "r"])
@pytest.mark.parametrize("table", ["layers", "layers_256"])
def test_stylegan3_signals_and_filters(pytestconfig, configuration, table):
    arrays, config = read_in_our_layouts(pytestconfig, f"stylegan3_{configuration}", to_our_layout)
    keys = BACKBONES[f"stylegan3_{configuration}"]()
    if table == "layers":
        keys, prefix = keys_of(config), "filters/"
        resolution = config["img_resolution"]
    else:
        resolution, prefix = 256, "filters_256/"
    signals = plan_signals(
        resolution, keys.widening * keys.channel_base, keys.widening * keys.channel_max
    )
    first, *layers, to_rgb = config[table]
    assert (first["channels"], first["size"], first["sampling_rate"], first["bandwidth"]) == (
        signals[0].channels, signals[0].size, signals[0].rate, signals[0].cutoff
    )  # fmt: skip
    assert to_rgb["out_size"] == signals[-1].size == resolution
    filters = with_prefix(arrays, prefix)
    for layer, source, target in zip(
        layers, [signals[0], *signals[:-2]], signals[:-1], strict=True
    ):
        for signal, end in ((source, "in"), (target, "out")):
            values = [layer[f"{end}_{key}"] for key in ("size", "rate", "channels", "cutoff")]
            assert values == list(signal[:4])
            assert layer[f"{end}_half_width"] == pytest.approx(signal.half_width, rel=1e-12)
        assert layer["conv_kernel"] == keys.kernel_size
        activation = FilteredLeakyReLU(source, target, layer["radial"])
        padding = activation.padding(source.size + keys.kernel_size - 1)
        assert layer["padding"] == [*padding, *padding]
        assert (layer["up"], layer["down"]) == (activation.up, activation.down)
        for name in ("up", "down"):
            expected = filters.pop(f"synthesis.{layer['name']}.{name}_filter")
            assert_close(getattr(activation, f"{name}_taps"), expected, 1e-6)
    assert not filters


def test_stylegan3_images_and_features(recorded_stylegan3):
    arrays, config, networks = recorded_stylegan3
    outputs = {"input": networks.synthesis.get_layer("input").output}
    for index in range(15):
        name = f"leaky_{index}" if index < 14 else "to_rgb"
        outputs[config["layers"][1 + index]["name"]] = networks.synthesis.get_layer(name).output
    model = keras.Model(networks.synthesis.input, [*outputs.values(), networks.synthesis.output])
    *features, images = model(networks.mapper(arrays["z"]))
    assert_close(images, arrays["fake_images"])
    squares = with_prefix(arrays, "features_mean_square/synthesis.")
    assert squares.keys() == outputs.keys()
    features = dict(zip(outputs, features, strict=True))
    for name, expected in squares.items():
        assert_close(np.mean(np.square(features[name]), axis=(1, 2)), expected, name=name)
    for name, expected in with_prefix(arrays, "features/synthesis.").items():
        assert_close(features[name], expected, name=name)


def test_stylegan3_radial_filters_are_where_the_authors_have_them(recorded_stylegan3):
    _, config, networks = recorded_stylegan3
    layers = config["layers"][1:15]
    radial = [networks.synthesis.get_layer(f"leaky_{index}").radial for index in range(14)]
    assert radial == [layer["radial"] for layer in layers]
    assert networks.mapper.output_shape[1] == config["num_ws"] == 16


def test_stylegan3_truncation_and_mixing(recorded_stylegan3):
    arrays, _, networks = recorded_stylegan3
    styles, second = networks.mapper(arrays["z"]), networks.mapper(arrays["z2"])
    assert_close(styles[:, 0], arrays["w"])
    truncated = truncate(styles, networks.mean_style, 0.7)
    assert_close(truncated[:, 0], arrays["w_psi07"])
    assert_close(networks.synthesis(truncated), arrays["fake_images_psi07"])
    mixed = networks.synthesis(mix_styles(styles, second, 5))
    assert_close(mixed, arrays["fake_images_mixed_cutoff5"])


def test_stylegan3_user_transform(recorded_stylegan3):
    arrays, _, networks = recorded_stylegan3
    transform = networks.synthesis.get_layer("input").transform
    transform.assign(arrays["user_transform"])
    images = networks.generate_from_scaled(arrays["z"])
    transform.assign(np.eye(3))
    assert_close(images, arrays["fake_images_user_transform"])


def test_stylegan3_training_moves_magnitudes_and_the_mean_style(recorded_stylegan3):
    arrays, config, networks = recorded_stylegan3
    before = [networks.mapper.get_weights(), networks.synthesis.get_weights()]
    images = networks.generate_from_scaled(arrays["z"], training=True)
    after = named_weights(networks, config)
    assert_close(images, arrays["fake_images_update_emas"])
    assert_close(networks.mean_style, arrays["w_avg_after_update"])
    for name, expected in with_prefix(arrays, "magnitude_ema_after_update/").items():
        assert_close(after[f"generator.{name}.magnitude_ema"], expected, name=name)
    networks.mapper.set_weights(before[0])
    networks.synthesis.set_weights(before[1])
    assert_close(networks.generate_from_scaled(arrays["z"]), arrays["fake_images"])


def test_stylegan3_discriminator(recorded_stylegan3):
    arrays, _, networks = recorded_stylegan3
    assert_values_and_gradients(networks, arrays)


def test_stylegan3_gradients_of_losses(recorded_stylegan3):
    arrays, config, networks = recorded_stylegan3
    names = named_weights(networks, config)
    for tape, loss, network, tag, tolerance in recorded_losses(
        networks, arrays, config["r1_gamma"]
    ):
        gradients = differentiate(names, tape, loss, network)
        assert_gradients(gradients, arrays, tag, tolerance)


def test_stylegan3_blur(recorded_stylegan3):
    arrays, config, _ = recorded_stylegan3
    if config["config"] == "r":
        assert float(arrays["blur_sigma"]) == 2.0
        assert_close(blur(arrays["real_images"], 2.0), arrays["real_images_blurred"])
        impulse = np.zeros((1, 13, 13, 1), "float32")
        impulse[0, 6, 6] = 1.0
        taps = arrays["blur_filter"]
        assert_close(blur(impulse, 2.0)[0, :, :, 0], np.outer(taps, taps))
