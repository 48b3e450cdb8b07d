"""GOTEX's alternating optimisation of potentials and image. See `Optimisation`."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from config.textures.gotex import GotexConfig
from train.adam import Adam
from train.textures.method import OnProgress
from train.textures.optimal_transport import averaged_ascent, dual_value, normalised_ascent
from train.textures.steps import run_steps
from train.textures.unfinished import Unfinished


class Optimisation:
    """Moves `variables`, of which `make_image(noises)` makes an image, towards an exemplar.

    `extract` makes of an image (1, height, width, 3) one set of vectors for each scale, which are
    compared with `targets`, (m, d) of each scale.
    """

    def __init__(
        self,
        make_image: Callable[[Sequence[tf.Tensor]], tf.Tensor],
        variables: Sequence[tf.Variable | keras.Variable],
        extract: Callable[[tf.Tensor], list[tf.Tensor]],
        targets: Sequence[np.ndarray],
        config: GotexConfig,
    ) -> None:
        self.make_image = make_image
        self.extract = extract
        self.targets = [tf.constant(x, tf.float32) for x in targets]
        self.potentials = [tf.Variable(tf.zeros(len(x))) for x in targets]
        self.config = config
        self.adam = Adam(variables, config.learning_rate)
        self._ascend = averaged_ascent if config.features == "patches" else normalised_ascent

    @tf.function(autograph=False)
    def step(self, noises: Sequence[tf.Tensor], places: Sequence[tf.Tensor]) -> tf.Tensor:
        """Improve the potentials for the present image, then the image; returns the loss.

        `places` are the indices of the vectors that count, of each scale.
        """
        losses = []
        with tf.GradientTape() as tape:
            vectors = self.extract(self.make_image(noises))
            for points, chosen, targets, potentials in zip(
                vectors, places, self.targets, self.potentials, strict=True
            ):
                points = tf.gather(points, chosen)
                with tape.stop_recording():
                    steps = self.config.potential_steps
                    potentials.assign(self._ascend(points, targets, potentials.value(), steps))
                value = potentials.value()
                losses.append(dual_value(points, targets, value, 1.0 / len(targets)))
            loss = tf.add_n(losses) / len(losses)
        self.adam.apply(tape.gradient(loss, self.adam.variables))
        return loss

    def run(
        self,
        draw_noises: Callable[[np.random.Generator], list[np.ndarray]],
        seed: int,
        on_progress: OnProgress,
        unfinished: Unfinished | None = None,
    ) -> None:
        """All steps, as `run_steps`. Each step's random numbers depend on its number."""
        counts = [len(x) for x in self.extract(self.make_image(draw_noises(_draw(seed, 0))))]

        def step(number: int) -> None:
            generator = _draw(seed, number)
            noises = draw_noises(generator)
            self.step(noises, [self._choose(count, generator) for count in counts])

        variables = [*self.adam.state(), *self.potentials]
        run_steps(step, self.config.steps, variables, on_progress, unfinished)

    def _choose(self, count: int, generator: np.random.Generator) -> np.ndarray:
        wanted = self.config.synthesis_patches
        if wanted is None or wanted >= count:
            return np.arange(count)
        return generator.choice(count, wanted, replace=False)


def _draw(seed: int, step: int) -> np.random.Generator:
    return np.random.default_rng((seed, step))
