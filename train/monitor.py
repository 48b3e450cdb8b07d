"""Statistics of the last training steps, and a stop at the first that is not finite.

See `Monitor`.
"""

import math
from collections import deque

_KEPT = 50
STEPS_PER_LOOK = 10  # to look at each would make a GPU wait


class NotFiniteError(Exception):
    """A statistic is NaN or infinite: `name`, `value`, `step`, and `steps`, the last 50 rows."""

    def __init__(self, name, value, step, steps):
        super().__init__(f"{name} is {value} at step {step}")
        self.name, self.value, self.step, self.steps = name, value, step, steps


class Monitor:
    """Takes what `Trainer.train_steps` returns; looks at it every ten steps and when asked to."""

    def __init__(self):
        self.pending = []
        self.pending_steps = 0
        self.steps = deque(maxlen=_KEPT)

    def add(self, last_step, statistics):
        """Note the tensors (steps,) up to a step. Returns whether it is time to `look`."""
        self.pending.append((last_step, statistics))
        self.pending_steps += len(statistics["encoder_loss"])
        return self.pending_steps >= STEPS_PER_LOOK

    def look(self):
        """The rows, dicts of floats, since the last look. Raises NotFiniteError."""
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

    def _require_finite(self, step, row):
        self.steps.append({"step": step} | row)
        for name, value in row.items():
            if not math.isfinite(value) and not _is_overflow(name, row):
                raise NotFiniteError(name, value, step, list(self.steps))


def _is_overflow(name, row):
    """Whether a scaled loss overflowed: mixed_float16 left out the step, and goes on.

    Below a scale of 1 that is no longer the reason.
    """
    return name != "encoder_loss" and row.get("loss_scale", 1.0) > 1.0
