"""The discriminator's values of real images, with the penalties of its gradients.

See `Penaliser`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from keras.optimizers import Optimizer

from config.sections import TrainConfig
from models.networks import Networks
from train.choices import (
    GENERATOR_PENALTIES,
    Turn,
    choose_gradient_penalties,
    choose_turns,
    take_turns,
)
from train.losses import AdversarialLoss
from train.passes import BOTH, Loss
from train.real_images import (
    RealLosses,
    carry_gradient,
    differentiate_input,
    penalise_with_autodiff,
)
from train.runtime.distribution import Processes


class Penaliser:
    """Computes R1, and the further gradient penalties that a config chooses: none by default.

    `further` holds the latter by name. The weight of a penalty is passed for each step, and 0
    leaves it out. `optimizer`, the discriminator's, knows its steps and the loss scale.
    """

    def __init__(
        self,
        train_config: TrainConfig,
        networks: Networks,
        adversarial_loss: AdversarialLoss,
        optimizer: Optimizer,
        processes: Processes,
        seed: int,
    ) -> None:
        self.networks, self.adversarial_loss = networks, adversarial_loss
        self.further = choose_gradient_penalties(train_config)
        self.turns = choose_turns(train_config)
        self.optimizer, self.scale_loss = optimizer, optimizer.scale_loss
        self.processes, self.seed = processes, seed
        self.batch_size = train_config.batch_size
        # float16 is too narrow for the quotients of `carry_gradient`.
        self.is_narrow = train_config.precision == "mixed_float16"

    def take_turns(
        self,
        generator_step: tf.Tensor,
        losses: Sequence[Loss],
        function: Callable[[dict[str, float], tf.Tensor | None], Any],
    ) -> Any:
        """`function(weights, factors)`, with the penalties whose turn it is in this step.

        The discriminator's turns follow its own updates, the generator's `generator_step`, the
        number of its updates so far. A penalty of a loss that is not among `losses` has none, and
        weight 0. `factors` (batch,) are mixing factors, and None without further penalties.
        """
        factors = self.mixing_factors() if self.further else None
        turns: dict[Loss, dict[str, Turn]] = {loss: {} for loss in BOTH}
        for name, turn in self.turns.items():
            loss = "generator" if name in GENERATOR_PENALTIES else "discriminator"
            if loss in losses:  # the graph has a branch for each combination of turns
                turns[loss][name] = turn
        none = dict.fromkeys(self.turns, 0.0)

        def differentiate(weights: dict[str, float]) -> Any:
            return take_turns(
                turns["generator"],
                generator_step,
                lambda others: function(none | weights | others, factors),
            )

        return take_turns(turns["discriminator"], self.optimizer.iterations.value, differentiate)

    def discriminate_real(
        self, x: tf.Tensor, fake_adversarial: tf.Tensor, r1_weight: float
    ) -> RealLosses:
        """Adversarial values of real images x, and their R1 penalty; zeros without its weight.

        `fake_adversarial` (batch,) are the adversarial values of generated images.
        """

        def loss(adversarial: tf.Tensor) -> tf.Tensor:
            return self.adversarial_loss.discriminator(
                adversarial, tf.stop_gradient(fake_adversarial)
            )

        if not r1_weight:
            adversarial = self._judge(x)
            return RealLosses(adversarial, tf.zeros_like(adversarial))
        biases = self.networks.linear_biases
        if biases is None or self.is_narrow:
            return penalise_with_autodiff(self._judge, x, self.scale_loss)
        return carry_gradient(self._judge, x, [bias.value for bias in biases], loss, r1_weight)

    def penalise(
        self,
        x: tf.Tensor,
        fake: tf.Tensor,
        weights: Mapping[str, float],
        factors: tf.Tensor | None,
    ) -> dict[str, tf.Tensor]:
        """The further penalties, (batch,) each, by name.

        Input: real and generated images (batch, height, width, 3), weights by name, and mixing
        factors (batch,) between 0 and 1.
        """
        penalties = {}
        for name, penalty in self.further.items():
            penalties[name] = tf.zeros(x.shape[0])
            if weights[name]:
                images = penalty.images(x, tf.stop_gradient(fake), factors)
                _, gradient = differentiate_input(self._judge, images, self.scale_loss)
                penalties[name] = penalty.formula(gradient)
        return penalties

    def mixing_factors(self) -> tf.Tensor:
        """Random numbers (batch,) from 0 to 1 for this replica's part of the batch of a step."""
        seed = tf.stack([self.seed, self.optimizer.iterations.value])
        factors = tf.random.stateless_uniform([self.batch_size], seed)
        return self.processes.replica_part(self.processes.part(factors))

    def _judge(self, images: tf.Tensor) -> tf.Tensor:
        """The adversarial values (batch,) of images."""
        return self.networks.discriminate(images, training=True)[0]
