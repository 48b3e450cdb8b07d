"""The fused Adam against Keras' own."""

from functools import partial

import keras
import numpy as np
import tensorflow as tf

from train.optimizer import FusedAdam


def test_updates_as_keras_adam_does():
    generator = np.random.default_rng(0)
    start = [generator.standard_normal(shape).astype(np.float32) for shape in ((3, 4), (5,))]
    results = []
    for adam in (partial(FusedAdam, [1.0, 1.0]), keras.optimizers.Adam):
        variables = [keras.Variable(value) for value in start]
        optimizer = adam(learning_rate=0.01, beta_1=0.5, beta_2=0.9, epsilon=1e-7)
        optimizer.build(variables)
        update = tf.function(optimizer.apply)
        for step in range(5):
            optimizer.learning_rate.assign(0.01 / (step + 1))
            update([tf.constant(np.sin(value * (step + 1))) for value in start])
        results.append([variable.numpy() for variable in variables])
        assert int(optimizer.iterations) == 5
    for fused, composed, value in zip(*results, start, strict=True):
        np.testing.assert_allclose(fused, composed, rtol=1e-5, atol=1e-7)
        assert np.abs(fused - value).max() > 0.01
