"""The time that a compiled function takes. See `compiled_seconds`."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from train.timing import median_seconds


def compiled_seconds(function: Callable[[], Any], jit_compile: bool) -> float:
    """Median seconds of a function, compiled, that takes nothing and returns tensors."""
    compiled = tf.function(function, autograph=False, jit_compile=jit_compile)

    def call() -> None:
        for tensor in tf.nest.flatten(compiled()):
            tensor.numpy()

    call()  # which also traces and compiles it
    return median_seconds(call)
