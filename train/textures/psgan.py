"""Spatial GAN and Periodic Spatial GAN: a generator of images of any size, trained on crops.

The two differ in their noise alone: Spatial GAN has neither global channels nor waves. See
`models.textures.psgan`, `draw_noise` and `Training`.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from config.textures.psgan import SpatialGanConfig
from models.textures.psgan import NoiseStage, build_discriminator, build_generator
from train.adam import Adam
from train.textures.method import Method, OnProgress
from train.textures.steps import run_steps
from train.textures.unfinished import Unfinished

_BETA_1 = 0.5
_LAST_RATE = 0.02  # of the learning rate, at the end of its fall
_REACH = 2  # positions of noise beside its own that a pixel depends on, for any number of layers


class Noise(NamedTuple):
    """What images are made of; see `models.textures.psgan.NoiseStage` for the shapes."""

    field: np.ndarray
    offsets: np.ndarray


def draw_noise(
    config: SpatialGanConfig,
    count: int,
    rows: int,
    columns: int,
    generator: np.random.Generator,
    quilt: int = 0,
) -> Noise:
    """U(-1, 1) fields and U(0, 1) offsets of waves, for `count` images.

    The global channels have one vector for each image, or for each `quilt` x `quilt` positions.
    """
    side = quilt or max(rows, columns)
    squares = (-(-rows // side), -(-columns // side))
    vectors = _uniform(generator, count, *squares, config.global_channels)
    vectors = vectors.repeat(side, axis=1).repeat(side, axis=2)[:, :rows, :columns]
    local = _uniform(generator, count, rows, columns, config.local_channels)
    offsets = generator.random((count, 2 * config.waves), np.float32)
    return Noise(np.concatenate([vectors, local], axis=-1), offsets)


def _uniform(generator: np.random.Generator, *shape: int) -> np.ndarray:
    return 2.0 * generator.random(shape, np.float32) - 1.0


def draw_crops(
    image: np.ndarray, count: int, side: int, generator: np.random.Generator
) -> np.ndarray:
    """Squares of an image, (count, side, side, 3), anywhere in it."""
    tops, lefts = (generator.integers(0, length - side + 1, count) for length in image.shape[:2])
    crops = [image[i : i + side, j : j + side] for i, j in zip(tops, lefts, strict=True)]
    return np.stack(crops)


class SpatialGan:
    """A generator: `sample` runs it on noise."""

    def __init__(self, config: SpatialGanConfig, seeds: keras.random.SeedGenerator) -> None:
        self.config = config
        channels = config.global_channels + config.local_channels
        self.stage = NoiseStage(config.global_channels, config.waves, config.affine, seeds)
        self.stage.build((None, None, None, channels), (None, 2 * config.waves))
        self.stage.trainable = config.learn_wave_numbers
        self.generator = build_generator(channels + 2 * config.waves, config.widths, seeds)

    def generate(self, noise: Noise, period: tuple[int, int] | None = None) -> tf.Tensor:
        """Images (batch, height, width, 3) in [-1, 1]; their waves fit into `period`."""
        return self.generator(self.stage(*noise, period=period))

    def sample(
        self, height: int, width: int, seed: int, tile: bool, on_progress: OnProgress
    ) -> np.ndarray:
        """An image (height, width, 3) with values in [0, 1]; with `tile`, one that repeats.

        For that the noise goes on beyond each edge as at the other edge, and whole waves fit in.
        """
        config, period, start = self.config, None, 0
        rows, columns = (-(-(side - 1) // config.scale) + 1 for side in (height, width))
        if tile:
            rows, columns = period = (height // config.scale, width // config.scale)
            start = _REACH * config.scale
        generator = np.random.default_rng(seed)
        field, offsets = draw_noise(config, 1, rows, columns, generator, config.quilt)
        if tile:
            beyond = (_REACH, _REACH)
            field = np.pad(field, ((0, 0), beyond, beyond, (0, 0)), mode="wrap")
        image = self.generate(Noise(field, offsets), period)[0]
        on_progress(1, 1)
        return 0.5 + 0.5 * image[start : start + height, start : start + width].numpy()

    def arrays(self) -> dict[str, np.ndarray]:
        weights = [*self.stage.get_weights(), *self.generator.get_weights()]
        return {f"weight_{i}": x for i, x in enumerate(weights)}


class Training:
    """The two networks and their steps, which alternate."""

    def __init__(self, config: SpatialGanConfig, seed: int) -> None:
        seeds = keras.random.SeedGenerator(seed)
        self.config = config
        self.model = SpatialGan(config, seeds)
        self.discriminator = build_discriminator(config.widths, seeds)
        self.learning_rate = tf.Variable(config.learning_rate)
        generator = self.model.generator.trainable_variables
        self.adams = [
            Adam(variables, self.learning_rate, _BETA_1, corrects_epsilon=False)
            for variables in (
                self.discriminator.trainable_variables,
                [*self.model.stage.trainable_variables, *generator],
            )
        ]

    @tf.function(autograph=False)
    def improve_discriminator(self, real: tf.Tensor, noise: Noise) -> tf.Tensor:
        """One step with images (batch, height, width, 3) in [-1, 1]; returns the loss."""
        fake = self.model.generate(noise)
        with tf.GradientTape() as tape:
            loss = (
                tf.reduce_mean(tf.nn.softplus(self.discriminator(fake)))  # -log(1 - D)
                + tf.reduce_mean(tf.nn.softplus(-self.discriminator(real)))  # -log D
                + self.config.weight_decay * sum_squares(self.discriminator)
            )
        adam = self.adams[0]
        adam.apply(tape.gradient(loss, adam.variables))
        return loss

    @tf.function(autograph=False)
    def improve_generator(self, noise: Noise, colours: tf.Tensor) -> tf.Tensor:
        """One step towards images with these `measure_colours`; returns the loss."""
        with tf.GradientTape() as tape:
            fake = self.model.generate(noise)
            loss = tf.reduce_mean(tf.nn.softplus(-self.discriminator(fake)))
            loss += self.config.weight_decay * sum_squares(self.model.generator)
            # Differs from the paper: without biases before its normalisation, the discriminator
            # does not see a factor on all values, so contrast grows until tanh is saturated.
            difference = tf.square(measure_colours(fake) - colours)
            loss += self.config.colour_weight * tf.reduce_sum(difference)
        adam = self.adams[1]
        adam.apply(tape.gradient(loss, adam.variables))
        return loss

    def run(
        self,
        exemplar: np.ndarray,
        seed: int,
        on_progress: OnProgress,
        unfinished: Unfinished | None,
    ) -> None:
        """All steps, as `run_steps`; one is a step of each network, with fresh noise."""
        config = self.config
        count, side = config.batch_size, config.field
        colours = measure_colours(tf.constant(exemplar[None]))

        def step(number: int) -> None:
            self.learning_rate.assign(choose_rate(config, number))
            generator = np.random.default_rng((seed, number))
            real = draw_crops(exemplar, count, config.smallest_side, generator)
            noises = [draw_noise(config, count, side, side, generator) for _ in range(2)]
            self.improve_discriminator(real, noises[0])
            self.improve_generator(noises[1], colours)

        variables = [*self.adams[0].state(), *self.adams[1].state()]
        run_steps(step, config.steps, variables, on_progress, unfinished)


def choose_rate(config: SpatialGanConfig, number: int) -> float:
    """The learning rate of a step. Differs from the paper: it falls, which takes grain away."""
    left = (config.steps - number) / config.steps
    share = min(1.0, left / (1.0 - config.falls_after)) if config.falls_after < 1.0 else 1.0
    return config.learning_rate * max(share, _LAST_RATE)


def measure_colours(images: tf.Tensor) -> tf.Tensor:
    """Mean and standard deviation of each channel, (2, 3), over images and positions."""
    mean, variance = tf.nn.moments(images, [0, 1, 2])
    return tf.stack([mean, tf.sqrt(variance + 1e-6)])


def sum_squares(network: keras.Model) -> tf.Tensor:
    """The sum of squares of all kernels of convolutions and scales of normalisations."""
    weights = [x for x in network.trainable_variables if x.name in ("kernel", "scale")]
    return tf.add_n([tf.reduce_sum(tf.square(x)) for x in weights])


def fit(
    exemplar: np.ndarray,
    config: SpatialGanConfig,
    seed: int,
    on_progress: OnProgress,
    unfinished: Unfinished | None,
) -> SpatialGan:
    """Train on an image (height, width, 3) in [0, 1]."""
    training = Training(config, seed)
    training.run(np.float32(2.0 * exemplar - 1.0), seed, on_progress, unfinished)
    return training.model


def restore(config: SpatialGanConfig, arrays: dict[str, np.ndarray]) -> SpatialGan:
    """The model of what its `arrays` returned."""
    model = SpatialGan(config, keras.random.SeedGenerator(0))
    weights = [arrays[f"weight_{i}"] for i in range(len(arrays))]
    count = len(model.stage.weights)
    model.stage.set_weights(weights[:count])
    model.generator.set_weights(weights[count:])
    return model


METHOD = Method(fit, restore)
