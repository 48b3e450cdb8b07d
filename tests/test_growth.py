"""Progressive growing: its schedule, its stages in one traced function, and what it exports."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from config.backbones.karras import ProgressiveGanConfig
from models.backbones.growth import level_of_detail, lower_detail
from models.backbones.progressive_gan import build_networks

IMAGES = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 3)).astype(np.float32)
LATENTS = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32)


def build(**keys):
    keras.utils.set_random_seed(0)
    return build_networks(5, 8, ProgressiveGanConfig(channel_base=32, channel_max=4, **keys))


@pytest.mark.parametrize(
    ("kimg", "lod"),
    [
        *[(0, 8), (599, 8), (600, 8), (900, 7.5), (1199, 8 - 599 / 600), (1200, 7), (1950, 6.75)],
        *[(9599, 1 / 600), (9600, 0), (20000, 0)],
    ],
)
def test_the_schedule_of_the_paper_by_hand(kimg, lod):
    images = tf.constant(1000 * kimg, tf.int64)
    assert float(level_of_detail(images, 8, 600_000, 600_000)) == pytest.approx(lod, abs=1e-5)


def test_a_schedule_without_fades_steps_down():
    lods = [float(level_of_detail(images, 2, 10, 0)) for images in (0, 9, 10, 19, 20, 30)]
    assert lods == [2, 2, 1, 1, 0, 0]


def test_real_images_by_hand():
    image = np.arange(64, dtype=np.float32).reshape(1, 8, 8, 1)
    means = image.reshape(1, 4, 2, 4, 2, 1).mean((2, 4)).repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(lower_detail(image, 0.0), image)
    np.testing.assert_array_equal(lower_detail(image, 1.0), means)
    np.testing.assert_allclose(lower_detail(image, 0.25), 0.75 * image + 0.25 * means, rtol=1e-6)


def gradients(networks):
    """Of the generator's and of R1's, for all variables."""
    discriminator, generator = (
        [variable.value for variable in part.trainable_variables]
        for part in (networks.discriminator, networks.synthesis)
    )
    images = tf.constant(IMAGES)
    with tf.GradientTape(persistent=True) as tape:
        fake = networks.discriminate(networks.generate_from_scaled(LATENTS))[0]
        with tf.GradientTape() as inner:
            inner.watch(images)
            real = networks.discriminate(images)[0]
        penalty = tf.reduce_sum(tf.square(inner.gradient(real, images)))
    return (
        tape.gradient(fake, generator, unconnected_gradients="zero"),
        tape.gradient(penalty, discriminator, unconnected_gradients="zero"),
    )


def test_one_traced_function_serves_all_stages():
    """Images, and gradients of first and second order, as untraced; each lod reads the variable."""
    networks = build()
    traced = tf.function(networks.for_each_stage(lambda: gradients(networks)), autograph=False)
    generate = tf.function(networks.generate_from_scaled, autograph=False)
    for lod in (1.0, 0.4):
        networks.lod.assign(lod)
        images = networks.generate_from_scaled(LATENTS)
        np.testing.assert_allclose(generate(LATENTS), images, rtol=1e-5, atol=1e-6)
        for ours, expected in zip(traced(), gradients(networks), strict=True):
            for gradient, reference in zip(ours, expected, strict=True):
                np.testing.assert_allclose(gradient, reference, rtol=1e-4, atol=1e-5)
    assert traced.experimental_get_tracing_count() == 1


def test_a_stage_runs_only_its_own_layers():
    networks = build()
    networks.lod.assign(1.0)
    small = networks.generate_from_scaled(LATENTS)
    judged = networks.discriminate(IMAGES)
    for layer in ("8_up", "8_conv", "8_to_rgb"):
        networks.synthesis.get_layer(layer).kernel.assign(
            np.nan * networks.synthesis.get_layer(layer).kernel
        )
    for layer in ("8_from_rgb", "8_conv", "8_down"):
        networks.discriminator.get_layer(layer).kernel.assign(
            np.nan * networks.discriminator.get_layer(layer).kernel
        )
    np.testing.assert_array_equal(networks.generate_from_scaled(LATENTS), small)
    np.testing.assert_array_equal(networks.discriminate(IMAGES)[0], judged[0])
    np.testing.assert_array_equal(small, np.repeat(small[:, ::2], 2, 1))  # enlarged from 4x4


def test_recovered_latents_do_not_depend_on_the_batch():
    networks = build()
    together = networks.discriminate(IMAGES)
    alone = networks.discriminate(IMAGES[:1])
    np.testing.assert_allclose(alone[1], together[1][:1], rtol=1e-5, atol=1e-6)
    assert abs(float(alone[0][0] - together[0][0])) > 1e-3
    assert networks.linear_biases is None
    without = build(minibatch_stddev_group=0)
    np.testing.assert_allclose(
        without.discriminate(IMAGES[:1])[0], without.discriminate(IMAGES)[0][:1], atol=1e-6
    )
    assert len(without.linear_biases) == 8


@pytest.mark.parametrize("lod", [0.4, 1.0])
def test_the_present_networks_are_plain_models_that_can_be_saved(tmp_path, lod):
    networks = build()
    networks.lod.assign(lod)
    present = networks.present()
    for name, expected in (
        ("synthesis", networks.generate_from_scaled(LATENTS)),
        ("discriminator", networks.discriminate(IMAGES)),
    ):
        present.parts()[name].save(tmp_path / f"{name}.keras")
        loaded = keras.saving.load_model(tmp_path / f"{name}.keras", safe_mode=True)
        outputs = loaded(LATENTS if name == "synthesis" else IMAGES)
        for ours, output in zip(tf.nest.flatten(expected), tf.nest.flatten(outputs), strict=True):
            np.testing.assert_allclose(output, ours, rtol=1e-6)


def test_without_growing_there_is_one_stage_with_fewer_layers():
    networks = build(grow=False)
    assert networks.lod is None
    names = [layer.name for part in networks.parts().values() for layer in part.layers]
    assert not {"lod", "4_to_rgb", "4_from_rgb"} & set(names)
    grown = build()
    for part in ("synthesis", "discriminator"):
        ours = networks.parts()[part]
        for layer in ours.layers:
            layer.set_weights(grown.parts()[part].get_layer(layer.name).get_weights())
    np.testing.assert_allclose(
        networks.generate_from_scaled(LATENTS), grown.generate_from_scaled(LATENTS), atol=1e-6
    )
