"""The networks, and the window that traces the variance of the recovered latents. See `Model`."""

import copy

import tensorflow as tf
from keras.random import SeedGenerator

from config import Config
from models import Networks, build_networks
from models.latent import choose_trace, sample_prior, scale_from_window


class Model:
    """Generator, encoder, and the latent scale s: everything that inverting an image needs.

    `config` is one run's, see `config.resolve_run`; `precision` is the Keras dtype policy of
    the feature maps.
    """

    def __init__(self, config: Config, precision: str) -> None:
        self.prior = config.latent.prior
        self.dynamic_scale = config.latent.dynamic_scale
        self.networks = build_networks(config, precision)
        self.trace = choose_trace(config.latent)
        window = tf.fill((self.trace.rows, config.latent.dim), self.trace.start)
        self.variance_window = tf.Variable(window, trainable=False)

    def with_networks(self, networks: Networks) -> "Model":
        """The same latents and scale, also while they change, with other networks."""
        model = copy.copy(self)
        model.networks = networks
        return model

    def variance(self) -> tf.Tensor:
        """v (d_z,): the element-wise variance of the recovered latents over the window."""
        return tf.reduce_mean(self.variance_window, axis=0)

    def scale(self) -> tf.Tensor:
        """s (d_z,), from the window; ones without dynamic latent scale. Algorithm 1, line 3."""
        return scale_from_window(self.variance_window, self.dynamic_scale)

    def sample_latents(self, count: int, seed: int | SeedGenerator) -> tf.Tensor:
        """Unscaled latents (count, d_z) from the prior. Algorithm 1, line 1."""
        return sample_prior((count, self.networks.latent_dim), self.prior, seed)
