"""The parts of the benchmarks that compute with TensorFlow, each in processes of its own.

What they return is defined here: the process that prints it does without TensorFlow.
"""

from typing import NamedTuple


class StepMeasurement(NamedTuple):
    """What was measured on, in one line, and {quantity: value as text}."""

    description: str
    quantities: dict[str, str]


class SafetyCost(NamedTuple):
    """Seconds of a step, of watching a step for values that are not finite, of a checkpoint."""

    step: float
    watching: float
    checkpoint: float
