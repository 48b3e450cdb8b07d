"""The descent of all networks along the gradients of their losses. See `Descent`."""

from collections.abc import Mapping, Sequence
from functools import reduce

import keras
import tensorflow as tf

from config.sections import TrainConfig
from models.networks import ParameterGroup
from train.optimizer import build_optimizer
from train.passes import BOTH, Loss


class Descent:
    """Adam for the parameter groups. Gradients are dicts: by loss, a list as its variables.

    One optimizer serves both losses where they share each pass of a step; otherwise each loss has
    its own, which counts its own updates.
    """

    def __init__(
        self, train_config: TrainConfig, groups: Sequence[ParameterGroup], passes: int
    ) -> None:
        self.groups = groups
        self.multiplier = {"sum": 1.0, "mean": 1.0 / train_config.batch_size}[
            train_config.loss_reduction
        ]
        if passes == 1:
            shared = build_optimizer(train_config, groups)
            self.optimizers = {"generator": shared, "discriminator": shared}
        else:
            self.optimizers = {
                loss: build_optimizer(train_config, [g for g in groups if g.loss == loss])
                for loss in BOTH
            }

    def parts(self) -> dict[str, keras.optimizers.Optimizer]:
        """The optimizers by name, as checkpoints hold them."""
        optimizers = self.optimizers
        parts = {"optimizer": optimizers["discriminator"]}
        if optimizers["generator"] is not optimizers["discriminator"]:
            parts["generator_optimizer"] = optimizers["generator"]
        return parts

    def set_learning_rate(self, rate: float) -> None:
        for optimizer in self.parts().values():
            optimizer.learning_rate.assign(rate)

    def variables_of(self, loss: Loss) -> list[keras.Variable]:
        """The variables that a loss trains, in the order of the parameter groups."""
        return [v for group in self.groups if group.loss == loss for v in group.variables]

    def scale(self, loss: Loss, total: tf.Tensor) -> tf.Tensor:
        """A loss, summed over the batch, times what its gradient is to be multiplied by."""
        return self.optimizers[loss].scale_loss(self.multiplier * total)

    def descend(self, gradients: Mapping[Loss, list[tf.Tensor]]) -> tf.Tensor:
        """One step of Adam. Returns whether Adam took it; only mixed_float16 may skip a step."""
        were_applied = []
        for optimizer in self.parts().values():
            losses = [loss for loss in gradients if self.optimizers[loss] is optimizer]
            iterations = tf.identity(optimizer.iterations.value)
            if losses:
                optimizer.apply([g for loss in losses for g in gradients[loss]])
                were_applied.append(optimizer.iterations.value > iterations)
        return reduce(tf.logical_and, were_applied)

    def gradient_norms(self, gradients: Mapping[Loss, list[tf.Tensor]]) -> dict[str, tf.Tensor]:
        """The norm of each parameter group's gradients, and the largest loss scale.

        A norm that is not finite stops the training, see `train.monitor`.
        """
        scales = {
            loss: tf.convert_to_tensor(o.scale_loss(1.0)) for loss, o in self.optimizers.items()
        }
        remaining = {loss: iter(values) for loss, values in gradients.items()}
        norms = {}
        for group in self.groups:
            if group.loss in gradients:
                norm = tf.linalg.global_norm([next(remaining[group.loss]) for _ in group.variables])
                norms[gradient_norm(group)] = norm / scales[group.loss]
        return norms | {"loss_scale": reduce(tf.maximum, scales.values())}


def gradient_norm(group: ParameterGroup) -> str:
    """The name of the norm of a parameter group's gradients among the statistics."""
    return f"{group.name}_gradient_norm"
