"""Statistics of the last training steps, and a stop at the first that is not finite.

See `Monitor`.
"""

import math
from collections import deque
from collections.abc import Collection, Mapping

import tensorflow as tf

_KEPT = 50
STEPS_PER_LOOK = 10  # to look at each would make a GPU wait


class NotFiniteError(Exception):
    """A statistic is NaN or infinite: `name`, `value`, `step`, and `steps`, the last 50 rows."""

    def __init__(self, name: str, value: float, step: int, steps: list[dict[str, float]]) -> None:
        super().__init__(f"{name} is {value} at step {step}")
        self.name, self.value, self.step, self.steps = name, value, step, steps


class Monitor:
    """Takes what `Trainer.train_steps` returns; looks at it every ten steps and when asked to.

    `scaled_statistics` names those that mixed_float16 computes from scaled losses. Where scaling
    makes them overflow, the optimizer skips the step, and training goes on.
    """

    def __init__(self, scaled_statistics: Collection[str] = ()) -> None:
        self.scaled_statistics = scaled_statistics
        self.pending: list[tuple[int, Mapping[str, tf.Tensor]]] = []
        self.pending_steps = 0
        self.steps: deque[dict[str, float]] = deque(maxlen=_KEPT)

    def add(self, last_step: int, statistics: Mapping[str, tf.Tensor]) -> bool:
        """Note tensors (steps,), by name, up to a step. Returns whether it is time to `look`."""
        self.pending.append((last_step, statistics))
        self.pending_steps += len(next(iter(statistics.values())))
        return self.pending_steps >= STEPS_PER_LOOK

    def look(self) -> list[dict[str, float]]:
        """The rows, one a step, since the last look. Raises NotFiniteError."""
        rows = []
        for last_step, statistics in self.pending:
            columns = [values.numpy().tolist() for values in statistics.values()]
            first_step = last_step - len(columns[0]) + 1
            for step, values in enumerate(zip(*columns, strict=True), start=first_step):
                rows.append(dict(zip(statistics, values, strict=True)))
                self._require_finite(step, rows[-1])
        self.pending.clear()
        self.pending_steps = 0
        return rows

    def _require_finite(self, step: int, row: dict[str, float]) -> None:
        self.steps.append({"step": step} | row)
        for name, value in row.items():
            if not math.isfinite(value) and not self._may_overflow(name, row):
                raise NotFiniteError(name, value, step, list(self.steps))

    def _may_overflow(self, name: str, row: Mapping[str, float]) -> bool:
        """Whether scaling may be the reason. At a scale of 1 or below it no longer is."""
        return name in self.scaled_statistics and row.get("loss_scale", 1.0) > 1.0
