"""Algorithm 1 of the paper as one training step. See `Trainer.train_step`."""

import keras
import tensorflow as tf

from config import Run
from models import build_networks
from models.latent import append_row, recovered_squares, sample_prior, scale_from_window
from train.device import settle
from train.distribution import Workers, sum_over_replicas
from train.losses import (
    discriminator_adversarial_loss,
    encoder_loss,
    generator_adversarial_loss,
    r1_penalty,
)
from train.optimizer import build_optimizer


class Trainer:
    """The state of one training: networks, optimizer, variance window, random state.

    `config` is a `config.Config`; `run` is the name of a method and prior, such as "normal_dls_dg".
    Made in the scope of a `tf.distribute.Strategy`, it trains on all of its replicas: each computes
    on its part of the batch, and what they sum up is that of one device.

    Raises UserError for an unknown run.
    """

    def __init__(self, config, run, seed=0):
        keras.utils.set_random_seed(seed)
        self.run = Run.parse(run)
        self.settings = settle(tf, config).train
        # "DG" is line 8 of the paper; "D" leaves the encoder loss to the discriminator.
        self.generator_encoder_weight = (
            config.train.encoder_weight if self.run.encoder_loss_in_generator else 0.0
        )
        self.networks = build_networks(config, self.settings.precision)
        self.variance_window = tf.Variable(
            tf.ones((config.latent.variance_window, config.latent.dim)), trainable=False
        )
        self.random = keras.random.SeedGenerator(seed)
        self.optimizer = build_optimizer(self.settings, self.networks)
        self.strategy = tf.distribute.get_strategy()
        self.workers = Workers()
        self.batch_size = config.train.batch_size
        if self.settings.jit_compile:  # not of latents, which XLA draws otherwise, nor of transfers
            self._differentiate = tf.function(
                self._differentiate, autograph=False, jit_compile=True
            )
        # Autograph has nothing to convert here, and takes as long as the rest.
        self.train_step = tf.function(self._train_step, autograph=False)
        size = config.data.resolution
        batch = (self.batch_size // self.workers.count, size, size, 3)
        self.train_steps = tf.function(
            self._train_steps, [tf.TensorSpec((None, *batch))], autograph=False
        )
        self.set_epoch(0)

    def set_epoch(self, epoch):
        """Set the learning rates of an epoch, counted from 0: they decay by a share an epoch."""
        decay = (1 - self.settings.learning_rate_decay) ** epoch
        self.optimizer.learning_rate.assign(self.settings.learning_rate * decay)

    def state(self):
        """All that a checkpoint must hold to go on, as a dict of trackable objects."""
        return self.networks._asdict() | {
            "optimizer": self.optimizer,
            "variance_window": self.variance_window,
            "random_state": self.random.state.value,
        }

    @property
    def learning_rate(self):
        """The learning rate, now, of synthesis and discriminator."""
        return float(self.optimizer.learning_rate.numpy())

    def variance(self):
        """v (d_z,): the element-wise variance of the recovered latents over the window."""
        return tf.reduce_mean(self.variance_window, axis=0)

    def scale(self):
        """s (d_z,), from the window; ones without dynamic latent scale. Algorithm 1, line 3."""
        return scale_from_window(self.variance_window, self.run.dynamic_scale)

    def sample_latents(self, batch_size):
        """Unscaled latents (batch_size, d_z) from the prior. Algorithm 1, line 1."""
        shape = (batch_size, self.variance_window.shape[1])
        return sample_prior(shape, self.run.prior, self.random)

    def _train_steps(self, batches):
        """`train_step` for each of `batches` (steps, part, height, width, 3), in one call.

        Returns the same dict, of tensors (steps,).
        """
        step = self.train_step.get_concrete_function(tf.TensorSpec(batches.shape[1:]))
        types = dict.fromkeys(step.structured_outputs, tf.float32)
        return tf.map_fn(step, batches, parallel_iterations=1, fn_output_signature=types)

    def _train_step(self, real_images, latents=None):
        """One step of Algorithm 1: all networks are updated from one forward pass.

        `real_images` (part, height, width, 3) in [-1, 1] is this process' part of the batch;
        `latents` (batch, d_z), unscaled, are drawn from the prior if None. Returns a dict of scalar
        tensors: batch means of the losses, norms of the gradients of each network, the mean of the
        newest row of the variance window, the loss scale (1 but with mixed_float16).

        With `train.r1_interval` k, R1 counts in every k-th step only, k times (lazy regularisation,
        Karras et al. 2020, section 3.1); `r1_penalty` is 0 where it does not count.
        """
        x = tf.convert_to_tensor(real_images)  # line 2
        # All replicas' latents at once, in every process: they do not depend on how many there are.
        z = self.sample_latents(self.batch_size) if latents is None else latents  # line 1
        of_replicas = self.strategy.run(self._update, (x, self.workers.part(z)))
        return {
            name: self.strategy.experimental_local_results(value)[0]
            for name, value in of_replicas.items()
        }

    def _update(self, x, z):
        """Lines 3 to 9 on one replica, for its part of real images x and latents z."""
        x, z = self.workers.part_of_replica(x), self.workers.part_of_replica(z)
        gradients, means = sum_over_replicas(self._differentiate_lazily(x, z))
        replicas = self.strategy.num_replicas_in_sync
        means = {name: mean / replicas for name, mean in means.items()}
        was_applied, gradient_norms = self._descend(gradients)
        window = append_row(self.variance_window, means.pop("recovered_squares"))  # line 9
        self.variance_window.assign(tf.where(was_applied, window, self.variance_window))
        recovered_variance = tf.reduce_mean(self.variance_window[-1])
        return means | {"recovered_variance": recovered_variance} | gradient_norms

    def _differentiate_lazily(self, x, z):
        """`_differentiate`, with R1 in every `train.r1_interval`-th step."""
        weight, interval = self.settings.r1_weight, self.settings.r1_interval
        if interval == 1:
            return self._differentiate(x, z, weight)
        return tf.cond(
            self.optimizer.iterations.value % interval == 0,
            lambda: self._differentiate(x, z, interval * weight),
            lambda: self._differentiate(x, z, 0.0),
        )

    def _differentiate(self, x, z, r1_weight):
        """Lines 3 to 8: the gradients of all variables, and means over the batch.

        The means are of the losses, by name, and of z'^2: "recovered_squares" (d_z,).
        """
        settings, networks = self.settings, self.networks
        s = self.scale()  # line 3
        with tf.GradientTape(persistent=True) as tape:
            # As the authors' code does: one forward pass of D(G(z∘s)) serves both losses.
            fake_adversarial, recovered = networks.discriminator(networks.generate(z, s))  # line 4
            l_enc = encoder_loss(z, recovered, s)  # line 5
            real_adversarial, r1 = self.discriminate_real(x, with_r1=r1_weight > 0)  # line 6

            d_loss = discriminator_adversarial_loss(real_adversarial, fake_adversarial)  # line 7
            d_loss += settings.encoder_weight * l_enc + r1_weight * r1
            g_loss = generator_adversarial_loss(fake_adversarial)  # line 8
            g_loss += self.generator_encoder_weight * l_enc
            # As the authors' code does: gradients of the sum over the batch, not the mean.
            d_total = self.optimizer.scale_loss(tf.reduce_sum(d_loss))
            g_total = self.optimizer.scale_loss(tf.reduce_sum(g_loss))

        # All gradients first, then Adam: no network's update precedes another's gradient.
        mapper, synthesis, discriminator = (n.trainable_variables for n in networks)
        gradients = tape.gradient(g_total, mapper + synthesis)
        gradients += tape.gradient(d_total, discriminator)
        return gradients, {
            "encoder_loss": tf.reduce_mean(l_enc),
            "discriminator_loss": tf.reduce_mean(d_loss),
            "generator_loss": tf.reduce_mean(g_loss),
            "r1_penalty": tf.reduce_mean(r1),
            "recovered_squares": recovered_squares(recovered),
        }

    def discriminate_real(self, x, with_r1=True):
        """Adversarial values of real images and their R1 penalty, or 0: both (batch,)."""
        if not with_r1:
            adversarial, _ = self.networks.discriminator(x)
            return adversarial, tf.zeros_like(adversarial)
        with tf.GradientTape() as tape:
            tape.watch(x)
            adversarial, _ = self.networks.discriminator(x)
            scaled = self.optimizer.scale_loss(adversarial)
        return adversarial, r1_penalty(tape.gradient(scaled, x) / self.optimizer.scale_loss(1.0))

    def _descend(self, gradients):
        """One step of Adam with the gradients of all variables, those of the mapper first.

        Returns whether it was applied, which only mixed_float16 may leave out, and the norms.
        """
        remaining = iter(gradients)
        norms = self.gradient_norms(
            [next(remaining) for _ in network.trainable_variables] for network in self.networks
        )
        iterations = tf.identity(self.optimizer.iterations.value)
        self.optimizer.apply(gradients)
        return self.optimizer.iterations.value > iterations, norms

    def gradient_norms(self, gradients):
        """The norm of all gradients of each network, to notice one that is not finite.

        With them the loss scale, by which these gradients are too large.
        """
        loss_scale = tf.convert_to_tensor(self.optimizer.scale_loss(1.0))
        names = (f"{name}_gradient_norm" for name in self.networks._fields)
        norms = (tf.linalg.global_norm(of_network) / loss_scale for of_network in gradients)
        return dict(zip(names, norms, strict=True)) | {"loss_scale": loss_scale}
