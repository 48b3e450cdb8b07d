"""The path length penalty of generators with styles. See `PathLength`."""

import tensorflow as tf
from keras.optimizers import Optimizer

from models.networks import Networks
from train.penalties import path_length_penalty, path_lengths

PENALTY, MEAN = "path_length_penalty", "mean_path_length"


class PathLength:
    """Penalises how much the lengths of a generator's paths differ from their moving mean.

    It measures them on half of a step's latents. The authors' code draws others, and mixes their
    styles where training does. `optimizer`, the generator's, knows the loss scale.
    """

    def __init__(self, networks: Networks, optimizer: Optimizer, seed: int) -> None:
        self.networks, self.scale_loss, self.seed = networks, optimizer.scale_loss, seed
        self.iterations = optimizer.iterations
        self.mean = tf.Variable(0.0, trainable=False)

    def penalise(self, z: tf.Tensor, s: tf.Tensor, weight: float) -> dict[str, tf.Tensor]:
        """The mean penalty and the moving mean of the lengths after this step: scalars, by name.

        Without its weight the penalty is 0, and the mean stays. Input: latents z (batch, d_z) and
        their scale s (d_z,).
        """
        if not weight:
            return {PENALTY: tf.zeros(()), MEAN: tf.convert_to_tensor(self.mean)}
        half = z[: max(1, z.shape[0] // 2)]
        with tf.GradientTape() as tape:
            styles = self.networks.styles(half * s)  # (batch / 2, num_ws, d_w)
            tape.watch(styles)
            images = self.networks.generate_from_styles(styles)
            noise = self._noise(images.shape)
            total = self.scale_loss(tf.reduce_sum(images * noise))
        gradient = tape.gradient(total, styles) / self.scale_loss(1.0)
        penalties, mean = path_length_penalty(path_lengths(gradient), self.mean)
        return {PENALTY: tf.reduce_mean(penalties), MEAN: mean}

    def _noise(self, shape: tf.TensorShape) -> tf.Tensor:
        """N(0, 1) / sqrt(height * width), for each replica its own."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.stack([self.seed, self.iterations.value])
        seed = tf.random.experimental.stateless_fold_in(seed, replica)
        height, width = shape[1:3]
        return tf.random.stateless_normal(shape, seed) / (height * width) ** 0.5
