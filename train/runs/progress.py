"""How far a run is. See `Progress` and `EpochMeans`."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf


class EpochMeans:
    """The means of a step's statistics over the steps of an epoch so far.

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

    `epoch` counts from 1 (0 before the first), `step` within the epoch. Over its steps so far:
    `seconds`, and the sums and counts (n,) of the `EpochMeans` of these `names`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self.sums = tf.Variable(np.zeros(len(names)), dtype=tf.float64, trainable=False)
        self.counts = tf.Variable(np.zeros(len(names)), dtype=tf.float64, trainable=False)

    def assign(self, epoch: int, step: int, means: EpochMeans, seconds: float) -> None:
        self.epoch.assign(epoch)
        self.step.assign(step)
        self.seconds.assign(seconds)
        self.sums.assign(means.sums)
        self.counts.assign(means.counts)

    def begin_epoch(self, epoch: int) -> None:
        self.assign(epoch, 0, EpochMeans(self.names), 0.0)

    def means(self) -> EpochMeans:
        """The means over the steps of the epoch so far."""
        return EpochMeans(self.names, self.sums.numpy().tolist(), self.counts.numpy().tolist())
