"""Adam on given variables, for texture models and inversion. See `Adam`."""

from collections.abc import Sequence

import keras
import tensorflow as tf


class Adam:
    """Adam (Kingma and Ba 2015) as the authors of these methods used it, in PyTorch or Theano.

    Epsilon is added to the root of the second moment after the correction for its start, as PyTorch
    does; without `corrects_epsilon` before it, as Theano's users and Keras do, which moves
    variables with small gradients less in the first steps. `learning_rate` may be set between
    steps, outside of compiled functions; as a variable it may be assigned to between these too.
    """

    def __init__(
        self,
        variables: Sequence[tf.Variable | keras.Variable],
        learning_rate: float | tf.Variable,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        corrects_epsilon: bool = True,
    ) -> None:
        self.variables = [x.value if isinstance(x, keras.Variable) else x for x in variables]
        self.learning_rate = learning_rate
        self.betas = beta_1, beta_2
        self.epsilon = epsilon
        self.corrects_epsilon = corrects_epsilon
        self.step = tf.Variable(0.0)
        self.moments = [
            [tf.Variable(tf.zeros_like(variable)) for variable in self.variables] for _ in range(2)
        ]

    def apply(self, gradients: Sequence[tf.Tensor]) -> None:
        """Move the variables along their gradients."""
        self.step.assign_add(1.0)
        powers = [tf.pow(beta, self.step) for beta in self.betas]
        correction = tf.sqrt(1.0 - powers[1]) if self.corrects_epsilon else 1.0
        for variable, first, second, gradient in zip(
            self.variables, *self.moments, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=self.learning_rate,
                beta1=self.betas[0],
                beta2=self.betas[1],
                epsilon=self.epsilon * correction,
                grad=gradient,
            )

    def state(self) -> list[tf.Variable]:
        """All variables that a continued optimisation needs, those that move included."""
        return [*self.variables, *self.moments[0], *self.moments[1], self.step]
