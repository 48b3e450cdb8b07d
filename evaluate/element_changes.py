"""How much each latent element changes the generated image. See `ElementChanges`."""

import numpy as np
import tensorflow as tf

from evaluate.inverter import Inverter
from evaluate.sheet_layout import INTERPOLATION_LIMIT
from train.model import Model
from train.runtime.distribution import Processes


class ElementChanges:
    """Moves one latent element at a time from end to end, as Figure 17 does.

    `latents` (n, d_z) give the values of the other elements. All replicas of `processes` take part.
    """

    def __init__(
        self,
        model: Model,
        inverter: Inverter,
        processes: Processes,
        latents: tf.Tensor,
        most_at_once: int,
    ) -> None:
        self.model, self.inverter, self.processes = model, inverter, processes
        self.latents = np.asarray(latents)
        batches = -(-self.latents.size // most_at_once)
        self.batch_size = -(-self.latents.size // batches)  # the last batch is almost as large
        self.measure_batch = processes.map(self._measure_batch, self.batch_size)

    def measure(self) -> np.ndarray:
        """The mean absolute difference of the two images, by latent and element: (n, d_z).

        All processes have to call this, and all get the result.
        """
        count = self.latents.size
        changes = []
        for first in range(0, count, self.batch_size):
            numbers = np.minimum(np.arange(first, first + self.batch_size), count - 1)
            ends = map(self.processes.part, self._move(numbers))
            changes.append(self.measure_batch(*ends))
        return np.concatenate(changes)[:count].reshape(self.latents.shape)

    def _move(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latents (batch, d_z) with one element at its low end, and at its high end.

        Counted through the elements of the first latent, then of the next, `numbers` (batch,) says
        which one.
        """
        rows, elements = np.divmod(numbers, self.latents.shape[1])
        limit = INTERPOLATION_LIMIT[self.model.prior]
        low, high = self.latents[rows], self.latents[rows]
        places = np.arange(len(numbers)), elements
        low[places], high[places] = -limit, limit
        return low, high

    def _measure_batch(self, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
        """The mean absolute difference (batch,) of the images of latents (batch, d_z)."""
        scale = self.model.scale()
        difference = self.inverter.generate(high, scale) - self.inverter.generate(low, scale)
        return tf.reduce_mean(tf.abs(difference), axis=(1, 2, 3))
