"""How far a run is. See `Progress` and `StepMeans`."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf


class StepMeans:
    """The means of a step's statistics over the steps added so far.

    A value that is not finite does not count: `train.monitor` lets it pass only where mixed_float16
    may have skipped the step.
    """

    def __init__(
        self,
        names: Sequence[str],
        sums: Sequence[float] | None = None,
        counts: Sequence[float] | None = None,
    ) -> None:
        """`sums` and `counts` of the steps so far have one value a name; by default zeros."""
        self.names = names
        self.sums = list(sums or [0.0] * len(names))
        self.counts = list(counts or [0.0] * len(names))

    def add(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Count the statistics of further steps, one row a step."""
        for row in rows:
            for index, name in enumerate(self.names):
                if math.isfinite(row[name]):
                    self.sums[index] += row[name]
                    self.counts[index] += 1

    def means(self) -> dict[str, float | None]:
        """The means by name; None where no value counted."""
        sums_and_counts = zip(self.names, self.sums, self.counts, strict=True)
        return {name: total / count if count else None for name, total, count in sums_and_counts}


class Progress(tf.Module):
    """What a checkpoint holds beside the state of the trainer.

    `epoch` counts from 1 (0 before the first), `step` and `seconds` within the epoch. `sums` and
    `counts` (2, n) are those of the `StepMeans` of n `names`, first over the epoch so far, then
    over the steps since the last that `train.log_every` counts.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self.sums, self.counts = self._zeros(), self._zeros()

    def _zeros(self) -> tf.Variable:
        """A variable (2, n) that a checkpoint may give another shape, see `complete`."""
        zeros = np.zeros((2, len(self.names)))
        return tf.Variable(zeros, shape=tf.TensorShape(None), dtype=tf.float64, trainable=False)

    def complete(self) -> bool:
        """Fill up what an older checkpoint holds: the first names' means over the epoch alone.

        The other means then begin at this checkpoint. Returns False, and changes nothing, if the
        checkpoint holds more than `names`, as one of a newer version of this code may.
        """
        saved = [np.atleast_2d(variable.numpy()) for variable in (self.sums, self.counts)]
        missing = np.subtract((2, len(self.names)), [array.shape for array in saved])
        if np.any(missing < 0):
            return False
        for variable, array, counts in zip((self.sums, self.counts), saved, missing, strict=True):
            variable.assign(np.pad(array, [(0, count) for count in counts]))
        return True

    def assign(
        self, epoch: int, step: int, seconds: float, means: StepMeans, recent_means: StepMeans
    ) -> None:
        self.epoch.assign(epoch)
        self.step.assign(step)
        self.seconds.assign(seconds)
        self.sums.assign([means.sums, recent_means.sums])
        self.counts.assign([means.counts, recent_means.counts])

    def begin_epoch(self, epoch: int) -> None:
        _, recent_means = self.means()
        self.assign(epoch, 0, 0.0, StepMeans(self.names), recent_means)

    def means(self) -> list[StepMeans]:
        """The means over the epoch so far, and over the last steps."""
        both = zip(self.sums.numpy().tolist(), self.counts.numpy().tolist(), strict=True)
        return [StepMeans(self.names, sums, counts) for sums, counts in both]
