"""The steps of a long optimisation, in which a killed one goes on. See `run_steps`."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from train.runtime.signals import deferred
from train.textures.method import OnProgress
from train.textures.unfinished import Unfinished


def run_steps(
    step: Callable[[int], None],
    steps: int,
    variables: Sequence[tf.Variable],
    on_progress: OnProgress,
    unfinished: Unfinished | None,
) -> None:
    """Call `step(number)` for all steps, or for those after the saved one.

    `variables` are all that a step changes. A signal ends it after the step, and they are saved
    before that.
    """
    first = _restore(variables, unfinished) if unfinished else 0
    with deferred() as signal:
        for number in range(first, steps):
            step(number)
            on_progress(number + 1, steps)
            if unfinished:
                state = partial(_read, variables, number + 1)
                unfinished.save_when_due(state, bool(signal.number))
            signal.raise_if_any()


def _read(variables: Sequence[tf.Variable], step: int) -> dict[str, np.ndarray]:
    values = {f"variable_{i}": x.numpy() for i, x in enumerate(variables)}
    return values | {"step": np.array(step)}


def _restore(variables: Sequence[tf.Variable], unfinished: Unfinished) -> int:
    """The number of steps that an earlier call did, whose variables are then these."""
    arrays = unfinished.read()
    if arrays is None:
        return 0
    for index, variable in enumerate(variables):
        variable.assign(arrays[f"variable_{index}"])
    return int(arrays["step"])
