"""Adversarially learned inference (Dumoulin et al. 2017, arxiv.org/abs/1606.00704)."""

import tensorflow as tf

from config import Config
from models.joint import encoder_of, pairs_of
from train.methods.joint import JointTrainer, Pairs

_NOISE = 1  # what the seed of noise is made of, beside that of latents


class Ali(JointTrainer):
    """A stochastic encoder, `mean + exp(log_variance / 2) * noise`; its mean is `Networks.encode`.

    As in the authors' code, data and samples pass D as one batch.
    """

    def __init__(self, config: Config, run: str | None, seed: int = 0) -> None:
        super().__init__(config, run, seed)
        self.seed = seed

    def infer(self, x: tf.Tensor) -> tf.Tensor:
        mean, log_variances = encoder_of(self.networks)(x, training=True)
        return mean + tf.exp(log_variances / 2.0) * self._draw_noise()

    def judge(self, data: Pairs, samples: Pairs) -> tuple[tf.Tensor, tf.Tensor]:
        pairs = [tf.concat(parts, axis=0) for parts in zip(data, samples, strict=True)]
        return tuple(tf.split(pairs_of(self.networks)(pairs, training=True), 2))

    def _draw_noise(self) -> tf.Tensor:
        """N(0, 1) (batch, d_z) for this replica's part of the batch of a step.

        The state that gives the step's latents is [seed, step]: noise takes another seed.
        """
        seed = tf.stack([self.seed, self.optimizer.iterations.value])
        seed = tf.random.experimental.stateless_fold_in(seed, _NOISE)
        noise = tf.random.stateless_normal([self.batch_size, self.networks.latent_dim], seed)
        return self.processes.replica_part(self.processes.part(noise))
