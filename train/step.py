"""Algorithm 1 of the paper as one training step. See `Trainer.train_step`."""

import keras
import tensorflow as tf

from config import Config, resolve_run
from models.latent import append_row, recovered_squares
from models.networks import ParameterGroup
from train.choices import (
    choose_adversarial_loss,
    choose_turns,
    take_turns,
    weighted_sum,
)
from train.losses import encoder_loss
from train.model import Model
from train.optimizer import ClipWeights, build_optimizer
from train.penaliser import Penaliser
from train.runtime.device import resolve_auto
from train.runtime.distribution import Processes, sum_over_replicas

_LOSSES = ("encoder_loss", "discriminator_loss", "generator_loss", "r1_penalty")


class Trainer(Model):
    """The state of one training: networks, optimizer, variance window, random state.

    `run` names one of the config's runs, or one of the paper's, such as "normal_dls_dg"; with None,
    `config` is a run's own already. A trainer that is made in the scope of a
    `tf.distribute.Strategy` uses all of its replicas: each computes on its part of the batch, and
    together they compute what one device would.

    `statistics` names what a step returns, in the order in which checkpoints hold their sums;
    `scaled_statistics` names those that mixed_float16 computes from scaled losses, so that they
    overflow where the scale is too large.

    Raises UserError for an unknown run.
    """

    def __init__(
        self,
        config: Config,
        run: str | None,
        seed: int = 0,
    ) -> None:
        keras.utils.set_random_seed(seed)
        if run is not None:
            config = resolve_run(config, run)
        self.train_config = resolve_auto(config.train)
        super().__init__(config, self.train_config.precision)
        # "DG" is line 8 of the paper; "D" leaves the encoder loss to the discriminator.
        in_generator = "generator" in config.train.encoder_loss_in
        self.generator_encoder_weight = config.train.encoder_weight if in_generator else 0.0
        self.adversarial_loss = choose_adversarial_loss(self.train_config)
        self.turns = choose_turns(self.train_config)
        self.parameter_groups = self.networks.parameter_groups(config.train)
        if self.train_config.weight_clip:
            for variable in self.networks.adversarial_variables:
                variable.constraint = ClipWeights(self.train_config.weight_clip)
        self.optimizer = build_optimizer(self.train_config, self.parameter_groups)
        self.penaliser = Penaliser(
            self.train_config, self.networks, self.adversarial_loss, self.optimizer
        )
        norms = [_gradient_norm(group) for group in self.parameter_groups]
        penalties = [_penalty(name) for name in self.penaliser.further]
        # New names go to the end, so that older checkpoints keep their meaning.
        self.statistics = (*_LOSSES, *norms, "recovered_variance", "loss_scale", *penalties)
        self.scaled_statistics = frozenset(["r1_penalty", "discriminator_loss", *norms, *penalties])
        self.seed, self.random = seed, keras.random.SeedGenerator(seed)
        self.strategy = tf.distribute.get_strategy()
        self.processes = Processes()
        self.batch_size = config.train.batch_size
        self._differentiate = self.differentiate
        if self.train_config.jit_compile:  # neither XLA's random latents nor transfers between GPUs
            self._differentiate = tf.function(self.differentiate, autograph=False, jit_compile=True)
        # Autograph has nothing to convert here, and takes as long as the rest of the tracing.
        self.train_step = tf.function(self._train_step, autograph=False)
        part = (self.batch_size // self.processes.count, *self.networks.image_shape)
        self.train_steps = tf.function(
            self._train_steps, [tf.TensorSpec((None, *part))], autograph=False
        )
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Set the learning rates of an epoch, from 0.

        Each epoch multiplies them by 1 - `learning_rate_decay`.
        """
        decay = (1 - self.train_config.learning_rate_decay) ** epoch
        self.optimizer.learning_rate.assign(self.train_config.learning_rate * decay)

    def state(self) -> dict[str, object]:
        """Everything that a checkpoint needs to go on, as a dict of trackable objects."""
        return self.networks.parts() | {
            "optimizer": self.optimizer,
            "variance_window": self.variance_window,
            "random_state": self.random.state.value,
        }

    @property
    def learning_rate(self) -> float:
        """The current learning rate of synthesis and discriminator."""
        return float(self.optimizer.learning_rate.numpy())

    def _train_steps(self, batches: tf.Tensor) -> dict[str, tf.Tensor]:
        """`train_step` for each of `batches` (steps, part, height, width, 3), in one call.

        Returns the same dict, with tensors (steps,).
        """
        step = self.train_step.get_concrete_function(tf.TensorSpec(batches.shape[1:]))
        types = dict.fromkeys(step.structured_outputs, tf.float32)
        return tf.map_fn(step, batches, parallel_iterations=1, fn_output_signature=types)

    def _train_step(
        self, real_images: tf.Tensor, latents: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """One step of Algorithm 1: one forward pass updates all networks.

        `real_images` (part, height, width, 3) in [-1, 1] is this process's part of the batch;
        `latents` (batch, d_z), unscaled, are drawn from the prior if None. Returns a dict of scalar
        tensors: batch means of the losses, the gradient norm of each parameter group, the mean of
        the newest row of the variance window, and the loss scale (1 except with mixed_float16).

        With `train.r1_interval` k, only every k-th step has R1, with k times the weight (lazy
        regularisation, Karras et al. 2020, section 3.1); `r1_penalty` is 0 in the other steps. The
        same holds for the other penalties on gradients.
        """
        z = latents
        if z is None:  # each process draws the whole batch: the number of processes changes nothing
            z = self.sample_latents(self.batch_size, self.random)  # line 1
        x = tf.convert_to_tensor(real_images)  # line 2
        replica_results = self.strategy.run(self._update, (x, self.processes.part(z)))
        return {
            name: self.strategy.experimental_local_results(value)[0]
            for name, value in replica_results.items()
        }

    def _update(self, x: tf.Tensor, z: tf.Tensor) -> dict[str, tf.Tensor]:
        """Lines 3 to 9 on one replica, for its part of real images x and latents z."""
        x, z = self.processes.replica_part(x), self.processes.replica_part(z)
        gradients, means = sum_over_replicas(self._differentiate_lazily(x, z))
        replicas = self.strategy.num_replicas_in_sync
        means = {name: mean / replicas for name, mean in means.items()}
        was_applied, gradient_norms = self._descend(gradients)
        window = append_row(self.variance_window, means.pop("recovered_squares"))  # line 9
        self.variance_window.assign(tf.where(was_applied, window, self.variance_window))
        recovered_variance = tf.reduce_mean(self.variance_window[-1])
        return means | {"recovered_variance": recovered_variance} | gradient_norms

    def _differentiate_lazily(
        self, x: tf.Tensor, z: tf.Tensor
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """`differentiate`, with the penalties whose turn it is."""
        factors = self.mixing_factors() if self.penaliser.further else None
        step = self.optimizer.iterations.value
        return take_turns(
            self.turns, step, lambda weights: self._differentiate(x, z, weights, factors)
        )

    def differentiate(
        self,
        x: tf.Tensor,
        z: tf.Tensor,
        weights: dict[str, float],
        factors: tf.Tensor | None = None,
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """Lines 3 to 8: the gradients of all parameter groups, and means over the batch.

        Input: real images x (batch, height, width, 3), latents z (batch, d_z), the weight of each
        penalty, by name, and mixing factors (batch,) for penalties other than R1. The dict holds
        the mean of each loss and penalty, and as "recovered_squares" (d_z,) the mean of z'^2.
        """
        networks, encoder_weight = self.networks, self.train_config.encoder_weight
        f_d, f_g = self.adversarial_loss
        s = self.scale()  # line 3
        with tf.GradientTape(persistent=True) as tape:
            # As the authors' code does: one forward pass of D(G(z∘s)) serves both losses.
            fake = networks.generate(z, s)
            fake_adversarial, recovered = networks.discriminate(fake)  # line 4
            l_enc = encoder_loss(z, recovered, s)  # line 5
            real = self.penaliser.discriminate_real(x, fake_adversarial, weights["r1"])  # line 6
            penalties = {"r1": real.r1} | self.penaliser.penalise(x, fake, weights, factors)

            d_loss = f_d(real.adversarial, fake_adversarial)  # line 7
            d_loss += encoder_weight * l_enc + weighted_sum(penalties, weights)
            g_loss = f_g(fake_adversarial)  # line 8
            g_loss += self.generator_encoder_weight * l_enc
            # As the authors' code does: gradients of the sum over the batch, not the mean.
            totals = {
                "discriminator": self.optimizer.scale_loss(tf.reduce_sum(d_loss) + real.carrier),
                "generator": self.optimizer.scale_loss(tf.reduce_sum(g_loss)),
            }

        # All gradients first, then Adam: no network's update precedes another's gradient.
        gradients = []
        for loss in ("generator", "discriminator"):
            gradients += tape.gradient(totals[loss], self._variables_of(loss))
        return gradients, {
            "encoder_loss": tf.reduce_mean(l_enc),
            "discriminator_loss": tf.reduce_mean(d_loss),
            "generator_loss": tf.reduce_mean(g_loss),
            **{_penalty(name): tf.reduce_mean(value) for name, value in penalties.items()},
            "recovered_squares": recovered_squares(recovered),
        }

    def _variables_of(self, loss: str) -> list[keras.Variable]:
        """The variables that a loss trains, in the order of the parameter groups."""
        return [v for group in self.parameter_groups if group.loss == loss for v in group.variables]

    def mixing_factors(self) -> tf.Tensor:
        """Random numbers (batch,) from 0 to 1 for this replica's part of the batch of a step."""
        seed = (self.seed, self.optimizer.iterations.value)
        factors = tf.random.stateless_uniform([self.batch_size], tf.cast(tf.stack(seed), tf.int64))
        return self.processes.replica_part(self.processes.part(factors))

    def _descend(self, gradients: list[tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """One step of Adam with the gradients of all parameter groups, in their order.

        Returns whether Adam applied them, and their norms. Only mixed_float16 may skip a step.
        """
        norms = self.gradient_norms(gradients)
        iterations = tf.identity(self.optimizer.iterations.value)
        self.optimizer.apply(gradients)
        return self.optimizer.iterations.value > iterations, norms

    def gradient_norms(self, gradients: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        """The norm of each parameter group's gradients, and the loss scale that they contain.

        A norm that is not finite stops the training, see `train.monitor`.
        """
        loss_scale = tf.convert_to_tensor(self.optimizer.scale_loss(1.0))
        remaining = iter(gradients)
        norms = {}
        for group in self.parameter_groups:
            norm = tf.linalg.global_norm([next(remaining) for _ in group.variables])
            norms[_gradient_norm(group)] = norm / loss_scale
        return norms | {"loss_scale": loss_scale}


def _gradient_norm(group: ParameterGroup) -> str:
    """The name of the norm of a parameter group's gradients among the statistics."""
    return f"{group.name}_gradient_norm"


def _penalty(name: str) -> str:
    """The name of a penalty among the statistics."""
    return f"{name}_penalty"
