"""Adam, with one operation a variable. See `build_optimizer`."""

import keras
import tensorflow as tf


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam with TensorFlow's fused kernel: the same formula in one pass over each variable.

    Keras composes an update of about twenty operations, which add up in small networks.
    `rate_multipliers`, one for each variable that it is built with, multiply the learning rate.

    On several replicas it takes gradients that are the same on all of them, and each updates its
    own copy of the variables.
    """

    def __init__(self, rate_multipliers, **kwargs):
        super().__init__(**kwargs)
        self.rate_multipliers = rate_multipliers

    def _backend_update_step(self, gradients, variables, learning_rate):
        for gradient, variable in zip(gradients, variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, gradient.dtype)
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


def build_optimizer(settings, networks):
    """One Adam for all networks, with a smaller learning rate for the mapper.

    `settings` is a `config.TrainConfig`. With mixed_float16 it scales losses against underflow, and
    halves the scale in place of a step whose gradients overflow.
    """
    variables, multipliers = [], []
    for network in networks:
        is_mapper = network is networks.mapper
        multiplier = settings.mapper_learning_rate_multiplier if is_mapper else 1.0
        variables += network.trainable_variables
        multipliers += [multiplier] * len(network.trainable_variables)
    optimizer = FusedAdam(multipliers, beta_1=settings.beta_1, beta_2=settings.beta_2, epsilon=1e-7)
    if settings.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer


def _handle(variable):
    """The resource of a Keras variable, or of the TensorFlow variable inside."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle
