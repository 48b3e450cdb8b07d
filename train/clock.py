"""When the training loop shows progress, saves and agrees with other processes. See `Clock`."""

import time

from train.monitor import STEPS_PER_LOOK

# Limit for a call of several steps; also the time between two progress events.
MOST_SECONDS_A_CALL = 0.5
_SLOW_STEP_SECONDS = 1.0
_SECONDS_A_MINUTE = 60


class Clock:
    """The clock of one epoch.

    `checkpoint_every` is a text such as "10 minutes" or "500 steps". `seconds_before` and
    `steps_before` are the seconds and steps of this epoch that an earlier process did.
    """

    def __init__(self, checkpoint_every: str, seconds_before: float, steps_before: int) -> None:
        self.start = self.shown_at = self.saved = self.looked = time.perf_counter()
        self.seconds_before = seconds_before
        self.step_looked = steps_before
        self.is_fast, self.is_slow = False, True
        count, self.unit = checkpoint_every.split()
        self.every = int(count)

    def note_look(self, step: int) -> None:
        """Measure the speed. Call this only when the device has finished the step."""
        now = time.perf_counter()
        if step > self.step_looked:
            seconds_per_step = (now - self.looked) / (step - self.step_looked)
            self.is_fast = seconds_per_step * STEPS_PER_LOOK < MOST_SECONDS_A_CALL
            self.is_slow = seconds_per_step > _SLOW_STEP_SECONDS
        self.looked, self.step_looked = now, step

    def set_speed(self, is_fast: bool, is_slow: bool) -> None:
        """Take the speed that the processes agreed on."""
        self.is_fast, self.is_slow = is_fast, is_slow

    def steps_at_once(self, step: int, steps: int) -> int:
        """How many steps to take in one call: `STEPS_PER_LOOK` if they are fast, otherwise 1.

        The call ends before a checkpoint that is counted in steps, and before the epoch's end.
        """
        until = steps - step
        if self.unit == "steps":
            until = min(until, self.every - step % self.every)
        return STEPS_PER_LOOK if self.is_fast and until >= STEPS_PER_LOOK else 1

    def seconds(self) -> float:
        """Seconds of training in this epoch."""
        return self.seconds_before + time.perf_counter() - self.start

    def is_progress_due(self) -> bool:
        now = time.perf_counter()
        if now - self.shown_at < MOST_SECONDS_A_CALL:
            return False
        self.shown_at = now
        return True

    def is_counted(self, step: int) -> bool:
        """Whether `checkpoint_every` counts steps and this step completes the count."""
        return self.unit == "steps" and step % self.every == 0

    def is_checkpoint_due(self, step: int) -> bool:
        if self.unit == "steps":
            return self.is_counted(step)
        now = time.perf_counter()
        if now - self.saved < self.every * _SECONDS_A_MINUTE:
            return False
        self.saved = now
        return True
