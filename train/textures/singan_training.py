"""The training of SinGAN, scale by scale. See `Training` and `ScaleTraining`."""

import keras
import numpy as np
import tensorflow as tf

from config.textures.singan import SinganConfig
from models.textures.singan import PADDING, build_discriminator
from train.adam import Adam
from train.textures.method import Method, OnProgress
from train.textures.pyramid import build_pyramid, plan_pyramid
from train.textures.singan import Singan, pad, restore
from train.textures.steps import run_steps
from train.textures.unfinished import Unfinished

_BETA_1 = 0.5
_DECAY, _DECAYS_AFTER = 0.1, 0.8  # the learning rate, after this share of a scale's steps
_LEAST_SQUARE = 1e-12  # of a slope; where it is 0, its root has no gradient


class ScaleTraining:
    """The two networks of one scale, and their steps towards an image (height, width, 3).

    Noise, scaled by its amplitude, and images of the coarser scale are float32 (height + 10,
    width + 10, 3).
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        real: np.ndarray,
        config: SinganConfig,
    ) -> None:
        self.generator = generator
        self.discriminator = discriminator
        self.real = tf.constant(real[None])
        self.config = config
        self.learning_rate = tf.Variable(config.learning_rate)
        self.adams = [
            Adam(network.trainable_variables, self.learning_rate, _BETA_1)
            for network in (generator, discriminator)
        ]

    @tf.function(autograph=False)
    def improve_discriminator(
        self, noise: tf.Tensor, previous: tf.Tensor, factor: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One step; returns the loss and the gradient penalty, which is a part of it.

        `factor`, in [0, 1], mixes the exemplar with the generated image for the penalty.
        """
        fake = self.generator([noise[None], previous[None]], training=True)
        mixed = factor * self.real + (1.0 - factor) * fake
        with tf.GradientTape() as tape:
            real_map = self.discriminator(self.real, training=True)
            fake_map = self.discriminator(fake, training=True)
            with tf.GradientTape() as inner:
                inner.watch(mixed)
                total = tf.reduce_sum(self.discriminator(mixed, training=True))
            squares = tf.reduce_sum(tf.square(inner.gradient(total, mixed)), -1)  # of each pixel
            penalty = tf.reduce_mean(tf.square(tf.sqrt(squares + _LEAST_SQUARE) - 1.0))
            penalty *= self.config.penalty_weight
            loss = tf.reduce_mean(fake_map) - tf.reduce_mean(real_map) + penalty
        adam = self.adams[1]
        adam.apply(tape.gradient(loss, adam.variables))
        return loss, penalty

    @tf.function(autograph=False)
    def improve_generator(
        self,
        noise: tf.Tensor,
        previous: tf.Tensor,
        fixed_noise: tf.Tensor,
        reconstruction: tf.Tensor,
    ) -> tf.Tensor:
        """One step; returns the loss.

        From `fixed_noise` and the coarser scale's `reconstruction` it shall make the exemplar.
        """
        generator = self.generator
        with tf.GradientTape() as tape:
            # In the authors' code this is the image of the discriminator's last step, so the moving
            # averages of normalisation do not follow it a second time.
            fake, _ = generator.stateless_call(
                [variable.value for variable in generator.trainable_variables],
                [variable.value for variable in generator.non_trainable_variables],
                [noise[None], previous[None]],
                training=True,
            )
            loss = -tf.reduce_mean(self.discriminator(fake, training=True))
            again = generator([fixed_noise[None], reconstruction[None]], training=True)
            error = tf.reduce_mean(tf.square(again - self.real))
            loss += self.config.reconstruction_weight * error
        adam = self.adams[0]
        adam.apply(tape.gradient(loss, adam.variables))
        return loss

    def begin_with(self, coarser: "ScaleTraining") -> None:
        """Take over the weights of the coarser scale, if the networks are as wide."""
        for network, before in (
            (self.generator, coarser.generator),
            (self.discriminator, coarser.discriminator),
        ):
            if network.count_params() == before.count_params():
                network.set_weights(before.get_weights())

    def variables(self) -> list[tf.Variable]:
        """All that the steps change."""
        networks = (self.generator, self.discriminator)
        averages = [x.value for network in networks for x in network.non_trainable_variables]
        return [*averages, *self.adams[0].state(), *self.adams[1].state()]


class Training:
    """The scales of an exemplar (height, width, 3) in [-1, 1], trained one after the other."""

    def __init__(self, exemplar: np.ndarray, config: SinganConfig, seed: int) -> None:
        self.config = config
        self.seed = seed
        sides = exemplar.shape[:2]
        pyramid = plan_pyramid(*sides, config.coarsest_side, config.longest_side, config.factor)
        seeds = keras.random.SeedGenerator(seed)
        self.model = Singan(config, pyramid.sizes, pyramid.ratio, seeds)
        self.reals = build_pyramid(exemplar, pyramid)
        self.scales = []
        for scale, generator in enumerate(self.model.generators):
            discriminator = build_discriminator(config.width_of(scale), seeds)
            real = self.reals[scale]
            self.scales.append(ScaleTraining(generator, discriminator, real, config))
        self.steps = len(self.scales) * config.steps
        self._draw_fixed_noise(self._random(self.steps))
        self._reconstructed = None, None  # a scale, and the image for it of the coarser ones

    def _random(self, number: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, number))

    def _draw_fixed_noise(self, generator: np.random.Generator) -> None:
        noise = self.model.draw_noise(0, self.model.sizes[0], generator)
        self.model.fixed_noise.assign(noise)

    def run(self, on_progress: OnProgress, unfinished: Unfinished | None) -> None:
        """All steps of all scales, as `run_steps`; the progress is in pixels, as the time is."""
        variables = [self.model.amplitudes, self.model.fixed_noise]
        variables += [variable for scale in self.scales for variable in scale.variables()]

        def tell(done: int, total: int) -> None:
            on_progress(self._count_pixels(done), self._count_pixels(total))

        run_steps(self.step, self.steps, variables, tell, unfinished)

    def _count_pixels(self, steps: int) -> int:
        """How many pixels the images of the first `steps` steps have."""
        scale, index = divmod(steps, self.config.steps)
        areas = [height * width for height, width in self.model.sizes]
        return self.config.steps * sum(areas[:scale]) + index * sum(areas[scale : scale + 1])

    def step(self, number: int) -> None:
        """One of all steps: some of the scale's discriminator, then some of its generator."""
        scale, index = divmod(number, self.config.steps)
        if index == 0:
            self.begin_scale(scale)
        is_late = index >= _DECAYS_AFTER * self.config.steps
        rate = self.config.learning_rate * (_DECAY if is_late else 1.0)
        self.scales[scale].learning_rate.assign(rate)
        self.improve(scale, self._random(number))

    def begin_scale(self, scale: int) -> None:
        """Take over the coarser scale's weights; its error decides the amplitude of the noise."""
        if scale == 0:
            return
        self.scales[scale].begin_with(self.scales[scale - 1])
        coarser = self.reconstruct(scale)[PADDING:-PADDING, PADDING:-PADDING]
        error = np.sqrt(np.mean(np.square(coarser - self.reals[scale])))
        self.model.amplitudes[scale].assign(self.config.noise_amplitude * error)

    def reconstruct(self, scale: int) -> np.ndarray:
        """What the scale's generator takes of the exemplar that the coarser ones make."""
        if self._reconstructed[0] != scale:
            image = self.model.reconstruct(scale)
            self._reconstructed = scale, self.model.enlarge(image, self.model.sizes[scale])
        return self._reconstructed[1]

    def improve(self, scale: int, generator: np.random.Generator) -> None:
        """The steps of both networks of a scale."""
        model, config = self.model, self.config
        size, training = model.sizes[scale], self.scales[scale]
        if scale == 0 and not config.fixed_noise:
            self._draw_fixed_noise(generator)
        amplitude = model.amplitudes[scale].numpy()
        noise = pad(amplitude * model.draw_noise(scale, size, generator))
        for _ in range(config.discriminator_steps):
            previous = model.enlarge(model.draw(scale, generator), size)
            factor = np.array(generator.random(), np.float32)
            training.improve_discriminator(noise, previous, factor)
        fixed_noise = pad(model.fixed_noise.numpy()) if scale == 0 else np.zeros_like(noise)
        for _ in range(config.generator_steps):
            training.improve_generator(noise, previous, fixed_noise, self.reconstruct(scale))


def fit(
    exemplar: np.ndarray,
    config: SinganConfig,
    seed: int,
    on_progress: OnProgress,
    unfinished: Unfinished | None,
) -> Singan:
    """Train on an image (height, width, 3) in [0, 1]."""
    image = (np.float32(exemplar) - np.float32(0.5)) * np.float32(2.0)
    training = Training(image, config, seed)
    training.run(on_progress, unfinished)
    return training.model


METHOD = Method(fit, restore)
