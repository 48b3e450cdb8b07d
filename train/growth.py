"""Progressive growing in training (Karras et al. 2018, section 2). See `choose_growth`."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from config import Config
from models.backbones.growth import level_of_detail, lower_detail
from models.networks import Networks
from train.optimizer import FusedAdam


class NoGrowth:
    """Networks that have their full size from the start."""

    def begin_step(self, real_images: tf.Tensor) -> tf.Tensor:
        """Make the networks as large as this step wants them; returns its real images."""
        return real_images

    def finish(self) -> None:
        """Let the networks have their full size from now on."""

    def parts(self) -> dict[str, tf.Variable]:
        """The variables by name, as checkpoints hold them."""
        return {}


class Growth(NoGrowth):
    """Networks whose lod follows the number of real images that they were trained on.

    Adam starts anew whenever the lod leaves, or reaches, a whole number.
    """

    def __init__(
        self,
        config: Config,
        lod: keras.Variable,
        optimizers: Sequence[keras.optimizers.Optimizer],
    ) -> None:
        self.lod, self.images_per_step = lod, config.train.images_per_step
        self.schedule = config.model.schedule(config.data.resolution)
        self.adams: list[FusedAdam] = [getattr(o, "inner_optimizer", o) for o in optimizers]
        for adam in self.adams:
            adam.allow_restarts()
        self.images_seen = tf.Variable(
            0,
            trainable=False,
            dtype=tf.int64,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            name="images_seen",
        )

    def begin_step(self, real_images: tf.Tensor) -> tf.Tensor:
        lod, before = level_of_detail(self.images_seen, *self.schedule), self.lod.value
        is_other_stage = (tf.floor(lod) != tf.floor(before)) | (
            tf.math.ceil(lod) != tf.math.ceil(before)
        )
        tf.cond(is_other_stage, self._restart, tf.no_op)
        self.lod.assign(lod)
        self.images_seen.assign_add(self.images_per_step)
        return lower_detail(real_images, lod)

    def finish(self) -> None:
        self.images_seen.assign(self.schedule.images)

    def parts(self) -> dict[str, tf.Variable]:
        return {"images_seen": self.images_seen}

    def _restart(self) -> tf.Operation:
        for adam in self.adams:
            adam.restart()
        return tf.no_op()


def choose_growth(
    config: Config, networks: Networks, optimizers: Sequence[keras.optimizers.Optimizer]
) -> NoGrowth:
    """What makes the networks of a config grow; `NoGrowth` if they do not.

    `optimizers` train them.
    """
    lod = getattr(networks, "lod", None)
    return NoGrowth() if lod is None else Growth(config, lod, optimizers)
