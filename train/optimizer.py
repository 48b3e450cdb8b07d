"""Adam, with one operation a variable. See `build_optimizer`."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from config.sections import TrainConfig
from models.networks import ParameterGroup


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam with TensorFlow's fused kernel: the same formula in one pass over each variable.

    Keras composes an update of about twenty operations, which add up in small networks.
    `rate_multipliers`, one for each variable, multiply the learning rate.

    On several replicas it takes gradients that are the same on all of them, and each replica
    updates its own copy of the variables.
    """

    def __init__(self, rate_multipliers: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate_multipliers = rate_multipliers
        self.first_iteration: keras.Variable | None = None

    def allow_restarts(self) -> None:
        """Make the variable that `restart` needs."""
        self.first_iteration = self.add_variable(
            (), dtype=self.iterations.dtype, name="first_iteration"
        )

    def restart(self) -> None:
        """Forget all moments, and count from 1 again how many were averaged."""
        for moments in (*self._momentums, *self._velocities):
            moments.assign(tf.zeros_like(moments))
        self.first_iteration.assign(self.iterations)

    def _backend_update_step(
        self,
        gradients: Sequence[tf.Tensor],
        variables: Sequence[keras.Variable],
        learning_rate: tf.Tensor,
    ) -> None:
        for gradient, variable in zip(gradients, variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def _apply_weight_decay(self, variables: Sequence[keras.Variable]) -> None:
        """AdamW, before the update: `w -= rate * weight_decay * w` (Loshchilov and Hutter 2019)."""
        for variable in variables if self.weight_decay else ():
            multiplier = self.rate_multipliers[self._get_variable_index(variable)]
            factor = 1.0 - self.learning_rate * multiplier * self.weight_decay
            variable.assign(variable * factor)

    def update_step(
        self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Update one variable with its gradient of the same shape."""
        index = self._get_variable_index(variable)
        step = self.iterations + 1
        if self.first_iteration is not None:
            step -= self.first_iteration
        step = tf.cast(step, gradient.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=tf.pow(tf.cast(self.beta_1, gradient.dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, gradient.dtype), step),
            lr=tf.cast(learning_rate, gradient.dtype) * self.rate_multipliers[index],
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class ClipWeights(keras.constraints.Constraint):
    """Keeps weights between -limit and limit, after each update (Arjovsky et al. 2017)."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def __call__(self, weights: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(weights, -self.limit, self.limit)


def build_optimizer(
    train_config: TrainConfig, groups: Sequence[ParameterGroup]
) -> keras.optimizers.Optimizer:
    """One Adam for all parameter groups, each with its own multiple of the learning rate.

    With mixed_float16 it scales losses against underflow. Where gradients overflow it skips the
    step and halves the scale.
    """
    variables = [variable for group in groups for variable in group.variables]
    multipliers = [group.rate_multiplier for group in groups for _ in group.variables]
    optimizer = FusedAdam(
        multipliers,
        beta_1=train_config.beta_1,
        beta_2=train_config.beta_2,
        epsilon=1e-7,
        weight_decay=train_config.weight_decay or None,
    )
    if train_config.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer


def _handle(variable: keras.Variable | tf.Variable) -> tf.Tensor:
    """The resource of a Keras variable, or of the TensorFlow variable inside."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle
