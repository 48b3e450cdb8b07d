"""Both forms of DCGAN, against numbers recorded from their authors' code."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from config.backbones.dcgan import DcganConfig
from models.backbones import dcgan
from tests.backbones.recordings import (
    GRADIENT,
    assert_close,
    assert_gradients,
    assign,
    read_recorded,
    with_prefix,
)
from train.losses import ADVERSARIAL_LOSSES

KERNEL_SIZES = {"dcgan": 5, "dcgan_pytorch_examples": 4}
PARTS = {"generator": "g_loss", "discriminator": "d_loss"}


class Recorded:
    """The arrays of a file, with our axes, and networks that have its weights."""

    def __init__(self, pytestconfig, name):
        self.arrays, sizes = read_recorded(pytestconfig, name)
        self.kernel_size = KERNEL_SIZES[name]
        model = DcganConfig(
            kernel_size=self.kernel_size,
            generator_channels=sizes["ngf"],
            discriminator_channels=sizes["ndf"],
        )
        self.networks = dcgan.build_networks(sizes["latent_size"], sizes["resolution"], model)
        variables = {
            "generator": self.networks.synthesis.trainable_variables,
            "discriminator": self.networks.adversarial_variables,
        }
        self.named = {}  # by part: {recorded name: variable}, both in the order of the layers
        for part, loss in PARTS.items():
            weights = with_prefix(self.arrays, f"weights/{part}.")
            self.named[part] = dict(zip(weights, variables[part], strict=True))
            for name, variable in self.named[part].items():
                for key in (f"weights/{part}.{name}", f"grad_{loss}/{part}.{name}"):
                    if key in self.arrays:
                        self.arrays[key] = self.with_our_axes(self.arrays[key], variable.shape)
            assign(self.named[part], with_prefix(self.arrays, f"weights/{part}."))

    def with_our_axes(self, array, shape):
        """Recorded weights, or their gradient, as ours of this shape."""
        if len(shape) == 4:
            kernel = array.transpose(2, 3, 1, 0)
            return kernel[::-1, ::-1] if self.kernel_size == 5 else kernel
        channels = self.networks.synthesis.get_layer("reshape").output.shape[-1]
        if array.size % (16 * channels) == 0:  # channels come before the 4x4 positions
            array = np.swapaxes(array.reshape(-1, channels, 16), 1, 2)
        return array.reshape(shape)

    def discriminate(self, images):
        """Raw adversarial values of a batch, by its own statistics."""
        return self.networks.discriminator(images, training=True)[0]


@pytest.fixture(params=KERNEL_SIZES)
def recorded_dcgan(request, pytestconfig):
    return Recorded(pytestconfig, request.param)


def test_dcgan_images(recorded_dcgan):
    images = recorded_dcgan.networks.synthesis(recorded_dcgan.arrays["z"], training=True)
    assert_close(images, recorded_dcgan.arrays["fake_images"])


def test_dcgan_features(pytestconfig):
    """Outputs of batch normalisation, of which the first is for each channel and position."""
    recorded_dcgan = Recorded(pytestconfig, "dcgan")
    synthesis, expected = recorded_dcgan.networks.synthesis, recorded_dcgan.arrays
    outputs = [synthesis.get_layer(f"{size}_norm").output for size in (4, 8, 16)]
    features = keras.Model(synthesis.input, outputs)(expected["z"], training=True)
    for number, values in enumerate(features, 1):
        name = f"features/generator.batchnorm{number}"
        shape = expected[name].shape
        wanted = expected[name]
        if number == 1:
            wanted = np.swapaxes(wanted.reshape(len(wanted), -1, 16), 1, 2).reshape(shape)
        assert_close(values, wanted, name=name)


@pytest.mark.parametrize("kind", ["fake", "real"])
def test_dcgan_probabilities_and_their_gradients(recorded_dcgan, kind):
    images = tf.constant(recorded_dcgan.arrays[f"{kind}_images"])
    with tf.GradientTape() as tape:
        tape.watch(images)
        probability = tf.sigmoid(recorded_dcgan.discriminate(images))
    gradient = tape.gradient(probability, images)
    expected = with_prefix(recorded_dcgan.arrays, f"{kind}_probability")
    assert_close(probability, expected.pop("").ravel())
    norm = tf.norm(tf.reshape(gradient, (len(images), -1)), axis=1)
    assert_close(norm, expected.pop("_gradient_norm"), GRADIENT)
    for array in expected.values():  # not all are recorded
        assert_close(gradient, array, GRADIENT)


@pytest.mark.parametrize("part", PARTS)
def test_dcgan_losses_and_gradients(recorded_dcgan, part):
    arrays, named = recorded_dcgan.arrays, recorded_dcgan.named[part]
    f = ADVERSARIAL_LOSSES["non_saturating"]
    with tf.GradientTape() as tape:
        if part == "generator":
            fake = recorded_dcgan.networks.synthesis(arrays["z"], training=True)
            loss = tf.reduce_mean(f.generator(recorded_dcgan.discriminate(fake)))
        else:
            real, fake = (
                recorded_dcgan.discriminate(arrays[f"{kind}_images"]) for kind in ("real", "fake")
            )
            loss = tf.reduce_mean(f.discriminator(real, fake))
    gradients = tape.gradient(loss, [variable.value for variable in named.values()])
    assert_close(loss, arrays[PARTS[part]])
    gradients = {f"{part}.{n}": g.numpy() for n, g in zip(named, gradients, strict=True)}
    assert_gradients(gradients, arrays, PARTS[part])


def test_dcgan_moving_averages(pytestconfig):
    """The running statistics of PyTorch after one batch, and the images that they make."""
    recorded_dcgan = Recorded(pytestconfig, "dcgan_pytorch_examples")
    arrays, synthesis = recorded_dcgan.arrays, recorded_dcgan.networks.synthesis
    synthesis(arrays["z"], training=True)
    running = with_prefix(arrays, "running_after/generator.")
    moving = synthesis.non_trainable_variables
    for variable, (name, expected) in zip(moving, running.items(), strict=True):
        assert_close(variable, expected, name=name)
    before = [variable.numpy() for variable in moving]
    assert_close(synthesis(arrays["z"], training=False), arrays["fake_images_eval_mode"])
    for variable, value in zip(moving, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize(
    ("kernel_size", "channels", "expected"),
    [
        (5, 128, (18_885_760, 17_232_768)),
        (4, 64, (3_576_704, 2_765_568)),
        (4, 128, (12_658_432, 11_036_160)),
    ],
)
def test_dcgan_parameter_counts(monkeypatch, kernel_size, channels, expected):
    monkeypatch.setattr(dcgan, "_initializer", keras.initializers.Zeros)  # quickly made
    model = DcganConfig(
        kernel_size=kernel_size, generator_channels=channels, discriminator_channels=channels
    )
    counts = dcgan.build_networks(100, 64, model).parameter_counts()
    head = 16 * 8 * channels * 100  # of the encoder, which the papers do not have
    assert counts == {"synthesis": expected[0], "discriminator": expected[1] + head}
