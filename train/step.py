"""Algorithm 1 of the paper as one training step. See `Trainer.train_step`."""

import keras
import tensorflow as tf

from config import Run
from models import build_networks
from models.latent import latent_scale, sample_prior, update_window
from train.losses import (
    discriminator_adversarial_loss,
    encoder_loss,
    generator_adversarial_loss,
    r1_penalty,
)
from train.optimizer import FusedAdam


class Trainer:
    """The state of one training: networks, three optimizers, variance window, random state.

    `config` is a `config.Config`; `run` is the name of a method and prior, such as "normal_dls_dg".
    Raises UserError for an unknown run.
    """

    def __init__(self, config, run, seed=0):
        keras.utils.set_random_seed(seed)
        self.run = Run.parse(run)
        self.settings = config.train
        # "DG" is line 8 of the paper; "D" leaves the encoder loss to the discriminator.
        self.generator_encoder_weight = (
            config.train.encoder_weight if self.run.encoder_loss_in_generator else 0.0
        )
        self.networks = build_networks(config)
        self.variance_window = tf.Variable(
            tf.ones((config.latent.variance_window, config.latent.dim)), trainable=False
        )
        self.random = keras.random.SeedGenerator(seed)
        self.optimizers = tuple(self._build_optimizer(network) for network in self.networks)
        self.set_epoch(0)

    def _build_optimizer(self, network):
        adam = FusedAdam(beta_1=self.settings.beta_1, beta_2=self.settings.beta_2, epsilon=1e-7)
        adam.build(network.trainable_variables)
        return adam

    def set_epoch(self, epoch):
        """Set the learning rates of an epoch, counted from 0: they decay by a share an epoch."""
        rate = self.settings.learning_rate * (1 - self.settings.learning_rate_decay) ** epoch
        mapper, synthesis, discriminator = self.optimizers
        mapper.learning_rate.assign(rate * self.settings.mapper_learning_rate_multiplier)
        synthesis.learning_rate.assign(rate)
        discriminator.learning_rate.assign(rate)

    def state(self):
        """All that a checkpoint must hold to go on, as a dict of trackable objects."""
        return self.networks._asdict() | {
            "optimizers": list(self.optimizers),
            "variance_window": self.variance_window,
            "random_state": self.random.state.value,
        }

    @property
    def learning_rate(self):
        """The learning rate, now, of synthesis and discriminator."""
        return float(self.optimizers[-1].learning_rate)

    def variance(self):
        """v (d_z,): the element-wise variance of the recovered latents over the window."""
        return tf.reduce_mean(self.variance_window, axis=0)

    def scale(self):
        """s (d_z,), from the window; ones without dynamic latent scale. Algorithm 1, line 3."""
        variance = self.variance()
        return latent_scale(variance) if self.run.dynamic_scale else tf.ones_like(variance)

    def sample_latents(self, batch_size):
        """Unscaled latents (batch_size, d_z) from the prior. Algorithm 1, line 1."""
        shape = (batch_size, self.variance_window.shape[1])
        return sample_prior(shape, self.run.prior, self.random)

    @tf.function
    def train_step(self, real_images, latents=None):
        """One step of Algorithm 1: all networks are updated from one forward pass.

        `real_images` (batch, height, width, 3) in [-1, 1]; `latents` (batch, d_z), unscaled, drawn
        from the prior if None. Returns a dict of scalar tensors: batch means of the losses, norms
        of the gradients of each network, the mean of the newest row of the variance window.
        """
        settings, networks = self.settings, self.networks
        x = tf.convert_to_tensor(real_images)  # line 2
        z = self.sample_latents(x.shape[0]) if latents is None else latents  # line 1
        s = self.scale()  # line 3
        with tf.GradientTape(persistent=True) as tape:
            # As the authors' code does: one forward pass of D(G(z∘s)) serves both losses.
            fake_adversarial, recovered = networks.discriminator(networks.generate(z, s))  # line 4
            l_enc = encoder_loss(z, recovered, s)  # line 5
            with tf.GradientTape() as real_tape:
                real_tape.watch(x)
                real_adversarial, _ = networks.discriminator(x)  # line 6
            r1 = r1_penalty(real_tape.gradient(real_adversarial, x))

            d_loss = discriminator_adversarial_loss(real_adversarial, fake_adversarial)  # line 7
            d_loss += settings.encoder_weight * l_enc + settings.r1_weight * r1
            g_loss = generator_adversarial_loss(fake_adversarial)  # line 8
            g_loss += self.generator_encoder_weight * l_enc
            # As the authors' code does: gradients of the sum over the batch, not the mean.
            d_total, g_total = tf.reduce_sum(d_loss), tf.reduce_sum(g_loss)

        gradient_norms = self._update(tape, g_total, d_total)
        self.variance_window.assign(update_window(self.variance_window, recovered))  # line 9
        return {
            "encoder_loss": tf.reduce_mean(l_enc),
            "discriminator_loss": tf.reduce_mean(d_loss),
            "generator_loss": tf.reduce_mean(g_loss),
            "r1_penalty": tf.reduce_mean(r1),
            "recovered_variance": tf.reduce_mean(self.variance_window[-1]),
        } | gradient_norms

    def _update(self, tape, g_total, d_total):
        """All gradients first, then three Adam steps: no update precedes another's gradient.

        Returns the gradients' norms.
        """
        mapper, synthesis, discriminator = (n.trainable_variables for n in self.networks)
        g_gradients = tape.gradient(g_total, mapper + synthesis)
        d_gradients = tape.gradient(d_total, discriminator)
        split = (g_gradients[: len(mapper)], g_gradients[len(mapper) :], d_gradients)
        for optimizer, gradients in zip(self.optimizers, split, strict=True):
            optimizer.apply(gradients)
        return self.gradient_norms(split)

    def gradient_norms(self, gradients):
        """The norm of all gradients of each network, by name, to notice one that is not finite."""
        names = (f"{name}_gradient_norm" for name in self.networks._fields)
        return dict(zip(names, map(tf.linalg.global_norm, gradients), strict=True))
