"""Algorithm 1 of the paper as one training step. See `Trainer.train_step`."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from config import Config, UserError, resolve_run
from models import build_networks
from models.latent import recovered_squares
from models.networks import ParameterGroup
from train.averaging import Averages
from train.choices import choose_adversarial_loss, lazy_intervals, weighted_sum
from train.descent import Descent, gradient_norm
from train.growth import choose_growth
from train.losses import ENCODER_LOSSES
from train.model import Model
from train.optimizer import ClipWeights
from train.passes import BOTH, Loss, choose_passes
from train.path_length import MEAN, PENALTY, PathLength
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

    Raises UserError for an unknown run, and for what several replicas cannot do.
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
        self.encoder_loss = ENCODER_LOSSES[self.train_config.encoder_loss]
        self.passes = self.choose_passes()
        self.parameter_groups = self.choose_parameter_groups()
        if self.train_config.weight_clip:
            for variable in self.networks.adversarial_variables:
                variable.constraint = ClipWeights(self.train_config.weight_clip)
        self.descent = Descent(self.train_config, self.parameter_groups, len(self.passes))
        self.growth = choose_growth(config, self.networks, [*self.descent.parts().values()])
        self.strategy = tf.distribute.get_strategy()
        self.processes = Processes()
        self.penaliser = Penaliser(
            self.train_config,
            self.networks,
            self.adversarial_loss,
            self.optimizer,
            self.processes,
            seed,
        )
        self.path_length = None
        if config.train.path_length_weight:
            optimizer = self.descent.optimizers["generator"]
            self.path_length = PathLength(self.networks, optimizer, seed)
        averaged, decay = None, self.train_config.average_decay
        if decay:
            averaged = build_networks(config, self.train_config.precision)
        self.averages = Averages(self.networks, averaged, decay)
        norms = [gradient_norm(group) for group in self.parameter_groups]
        penalties = [_penalty(name) for name in self.penaliser.further]
        penalties += [PENALTY] if self.path_length else []
        # New names go to the end, so that older checkpoints keep their meaning.
        self.statistics = (*_LOSSES, *norms, "recovered_variance", "loss_scale", *penalties)
        self.scaled_statistics = frozenset(["r1_penalty", "discriminator_loss", *norms, *penalties])
        self.random = keras.random.SeedGenerator(seed)
        self.batch_size = config.train.batch_size
        self.images_per_step = config.train.images_per_step
        self._differentiate = self._choose_differentiate()
        # Autograph has nothing to convert here, and takes as long as the rest of the tracing.
        self.train_step = tf.function(self._train_step, autograph=False)
        part = (len(self.positions()), *self.networks.image_shape)
        self.train_steps = tf.function(
            self._train_steps, [tf.TensorSpec((None, *part))], autograph=False
        )
        self.set_epoch(0)

    def choose_passes(self) -> list[tuple[Loss, ...]]:
        """The losses that each forward pass of a step serves."""
        return choose_passes(self.train_config)

    def choose_parameter_groups(self) -> list[ParameterGroup]:
        """What is trained, by which loss, at which rate."""
        return self.networks.parameter_groups(self.train_config)

    def _choose_differentiate(self) -> Callable[..., Any]:
        """`differentiate` for each stage of networks that grow, compiled where XLA can do that.

        Raises UserError if replicas would exchange values in some of the steps only.
        """
        differentiate = self.networks.for_each_stage(self.differentiate)
        if self.networks.synchronize(self.strategy.num_replicas_in_sync):
            if lazy_intervals(self.penaliser.turns) or self.growth.parts():
                raise UserError(
                    "train.distribution: with batch normalisation or moving averages of styles, "
                    "several replicas take steps that are all alike: penalties with an interval "
                    "of 1, and model.grow false. Otherwise use train.distribution none"
                )
            return differentiate
        # XLA compiles neither random latents nor transfers between GPUs.
        if self.train_config.jit_compile:
            return tf.function(differentiate, autograph=False, jit_compile=True)
        return differentiate

    def set_epoch(self, epoch: int) -> None:
        """Set the learning rates of an epoch, from 0.

        Each epoch multiplies them by 1 - `learning_rate_decay`.
        """
        decay = (1 - self.train_config.learning_rate_decay) ** epoch
        self.descent.set_learning_rate(self.train_config.learning_rate * decay)

    def positions(self) -> np.ndarray:
        """The indices of the real images of a step that this process takes: parts of batches."""
        batches = self.batch_size * np.arange(self.train_config.discriminator_steps)
        return np.add.outer(batches, self.processes.positions(self.batch_size)).ravel()

    def state(self) -> dict[str, object]:
        """Everything that a checkpoint needs to go on, as a dict of trackable objects."""
        random_states = {
            f"random_state_{number}": state.value
            for number, state in enumerate(self.networks.random_states())
        }
        return {
            **self.networks.parts(),
            **random_states,
            **self.averages.parts(),
            **self.descent.parts(),
            **self.growth.parts(),
            **({MEAN: self.path_length.mean} if self.path_length else {}),
            "variance_window": self.variance_window,
            "random_state": self.random.state.value,
        }

    def evaluated(self) -> Model:
        """What evaluation measures: the averaged networks, or the trained ones without averages."""
        return self.with_networks(self.averages.networks)

    @property
    def optimizer(self) -> keras.optimizers.Optimizer:
        """The discriminator's optimizer, which serves both networks unless a step has passes."""
        return self.descent.optimizers["discriminator"]

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
        `latents` (batch, d_z), unscaled, are drawn from the prior if None. (Where a step has
        several passes, these are joined batches: of `positions`, and of all passes.) Returns a dict
        of scalar tensors: batch means of the losses, the gradient norm of each parameter group, the
        mean of the newest row of the variance window, and the loss scale (1 except with
        mixed_float16).

        With `train.r1_interval` k, only every k-th step has R1, with k times the weight (lazy
        regularisation, Karras et al. 2020, section 3.1); `r1_penalty` is 0 in the other steps. The
        same holds for the other penalties on gradients.
        """
        z, passes = latents, len(self.passes)
        if z is None:  # each process draws the whole batch: the number of processes changes nothing
            z = self.sample_latents(passes * self.batch_size, self.random)  # line 1
        z_of_passes = [self.processes.part(z) for z in _cut(z, passes)]
        x = self.growth.begin_step(real_images)  # line 2
        x_of_passes = _cut(x, self.train_config.discriminator_steps)
        # A generator's own pass heeds no real images.
        x_of_passes += x_of_passes[-1:] * (passes - len(x_of_passes))
        replica_results = self.strategy.run(self._update, (x_of_passes, z_of_passes))
        return {
            name: self.strategy.experimental_local_results(replica_results[name])[0]
            for name in self.statistics
        }

    def _update(
        self, x_of_passes: Sequence[tf.Tensor], z_of_passes: Sequence[tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Lines 3 to 9 on one replica, for its parts of the real images x and latents z."""
        rows, were_applied = [], []
        for losses, x, z in zip(self.passes, x_of_passes, z_of_passes, strict=True):
            x, z = self.processes.replica_part(x), self.processes.replica_part(z)
            gradients, means = sum_over_replicas(self._differentiate_lazily(x, z, losses))
            means = {name: m / self.strategy.num_replicas_in_sync for name, m in means.items()}
            rows.append(means | self.descent.gradient_norms(gradients))
            were_applied.append(self.descent.descend(gradients))
        self.averages.update()
        results = _mean_over_passes(rows)
        window = self.trace.update(self.variance_window, results.pop("recovered_squares"))  # line 9
        are_applied = reduce(tf.logical_and, were_applied)
        self.variance_window.assign(tf.where(are_applied, window, self.variance_window))
        if self.path_length:
            mean = self.path_length.mean
            mean.assign(tf.where(are_applied, results.pop(MEAN), mean))
        return results | {"recovered_variance": tf.reduce_mean(self.variance_window[-1])}

    def _differentiate_lazily(
        self, x: tf.Tensor, z: tf.Tensor, losses: Sequence[Loss]
    ) -> tuple[dict[str, list[tf.Tensor]], dict[str, tf.Tensor]]:
        """`differentiate`, with the penalties whose turn it is."""
        return self.penaliser.take_turns(
            self.descent.optimizers["generator"].iterations.value,
            losses,
            lambda weights, factors: self._differentiate(x, z, weights, factors, losses),
        )

    def differentiate(
        self,
        x: tf.Tensor,
        z: tf.Tensor,
        weights: dict[str, float],
        factors: tf.Tensor | None = None,
        losses: Sequence[Loss] = BOTH,
    ) -> tuple[dict[str, list[tf.Tensor]], dict[str, tf.Tensor]]:
        """Lines 3 to 8: gradients by loss, in the order of its variables, and means over the batch.

        Input: real images x (batch, height, width, 3), latents z (batch, d_z), the weight of each
        penalty, by name, mixing factors (batch,) for penalties other than R1, and which losses are
        wanted: a graph computes nothing else. The dict of means holds the mean of each of these and
        of the discriminator's penalties, L_enc with the generator's loss (as the authors' later
        code reports it), and as "recovered_squares" (d_z,) the mean of z'^2.
        """
        networks, encoder_weight = self.networks, self.train_config.encoder_weight
        (f_d, f_g), scale = self.adversarial_loss, self.descent.scale
        s = self.scale()  # line 3
        with tf.GradientTape(persistent=True) as tape:
            # As the authors' code does: one forward pass of D(G(z∘s)) serves both losses.
            fake = networks.generate(z, s, training=True)
            fake_adversarial, recovered, *log_variances = networks.discriminate(  # line 4
                fake, training=True
            )
            l_enc = self.encoder_loss(z, recovered, s, *log_variances)  # line 5
            real = self.penaliser.discriminate_real(x, fake_adversarial, weights["r1"])  # line 6
            penalties = {"r1": real.r1} | self.penaliser.penalise(x, fake, weights, factors)

            d_loss = f_d(real.adversarial, fake_adversarial)  # line 7
            d_loss += encoder_weight * l_enc + weighted_sum(penalties, weights)
            g_loss = f_g(fake_adversarial)  # line 8
            g_loss += self.generator_encoder_weight * l_enc
            paths = {}
            if self.path_length:
                paths = self.path_length.penalise(z, s, weights["path_length"])
                g_loss += weights["path_length"] * paths[PENALTY]
            # As the authors' code does: gradients of the sum over the batch, not the mean.
            totals = {
                "discriminator": scale("discriminator", tf.reduce_sum(d_loss) + real.carrier),
                "generator": scale("generator", tf.reduce_sum(g_loss)),
            }

        # All gradients of a pass first, then Adam: no update precedes another network's gradient.
        values = {
            "discriminator": {"discriminator_loss": d_loss}
            | {_penalty(name): value for name, value in penalties.items()},
            "generator": self.recovery(z, recovered, s, l_enc) | {"generator_loss": g_loss} | paths,
        }
        gradients, means = {}, {"recovered_squares": recovered_squares(recovered)}
        for loss in losses:
            variables = [variable.value for variable in self.descent.variables_of(loss)]
            # Networks that grow have some of them in other stages only.
            gradients[loss] = tape.gradient(totals[loss], variables, unconnected_gradients="zero")
            means |= {name: tf.reduce_mean(value) for name, value in values[loss].items()}
        return gradients, means

    def recovery(
        self, z: tf.Tensor, recovered: tf.Tensor, s: tf.Tensor, l_enc: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What statistics say about recovered latents, by name: (batch,) each. `l_enc` is L_enc."""
        return {"encoder_loss": l_enc}


def _cut(batches: tf.Tensor, count: int) -> list[tf.Tensor]:
    """`count` batches that are joined in one tensor."""
    return tf.split(batches, count) if count > 1 else [tf.convert_to_tensor(batches)]


def _mean_over_passes(rows: Sequence[Mapping[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
    """Each value's mean over the passes that have it."""
    values: dict[str, list[tf.Tensor]] = {}
    for row in rows:
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    return {name: v[0] if len(v) == 1 else tf.add_n(v) / len(v) for name, v in values.items()}


def _penalty(name: str) -> str:
    """The name of a penalty among the statistics."""
    return f"{name}_penalty"
