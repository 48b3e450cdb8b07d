"""Statistics of the last training steps, and a stop at the first that is not finite.

See `Monitor`.
"""

import math
from collections import deque

_KEPT = 50
_AT_ONCE = 10  # steps: to look at each would make a GPU wait


class NotFiniteError(Exception):
    """A statistic is NaN or infinite: `name`, `value`, `step`, and `steps`, the last 50 rows."""

    def __init__(self, name, value, step, steps):
        super().__init__(f"{name} is {value} at step {step}")
        self.name, self.value, self.step, self.steps = name, value, step, steps


class Monitor:
    """Takes what `Trainer.train_step` returns; looks at it every ten steps and when asked to."""

    def __init__(self):
        self.pending = []
        self.steps = deque(maxlen=_KEPT)

    def add(self, step, statistics):
        """Note the scalar tensors of a step. Returns whether it is time to `look`."""
        self.pending.append((step, statistics))
        return len(self.pending) >= _AT_ONCE

    def look(self):
        """The rows, dicts of floats, since the last look. Raises NotFiniteError."""
        rows = []
        for step, statistics in self.pending:
            row = {name: float(value) for name, value in statistics.items()}
            rows.append(row)
            self.steps.append({"step": step} | row)
            for name, value in row.items():
                if not math.isfinite(value):
                    raise NotFiniteError(name, value, step, list(self.steps))
        self.pending.clear()
        return rows
