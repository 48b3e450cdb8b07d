"""What TensorBoard shows of a run: the same tags and steps in all. See `TensorBoard`."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from config import UserError, first_line


class TensorBoard:
    """Writes event files to a folder. Raises UserError for a full disk.

    What belongs to an epoch stands over the epochs; tags of means over some steps begin with
    "steps/" and stand over the steps.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writer = tf.summary.create_file_writer(str(folder))

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """What the page HPARAMS compares runs by, beside their last metrics.

        Runs with the same settings, such as seeds, are one group there.
        """
        values = {k: v if isinstance(v, int | float | str) else str(v) for k, v in settings.items()}
        with self._writing(0):
            hparams.hparams(values)

    def write_pictures(
        self, epoch: int, sheets: Mapping[str, np.ndarray], scale: np.ndarray
    ) -> None:
        """Image sheets, uint8 (height, width, 3), by name, and the histogram of s (d_z,)."""
        with self._writing(epoch):
            for name, sheet in sheets.items():
                tf.summary.image(name, sheet[None])
            tf.summary.histogram("scale", scale)

    def write_scalars(self, row: Mapping[str, Any]) -> None:
        """The numbers of an epoch's row."""
        self._write_numbers(row["epoch"], {n: v for n, v in row.items() if n != "epoch"})

    def write_step_means(self, step: int, means: Mapping[str, float | None]) -> None:
        """Means over the last steps up to a step, counted from the run's first."""
        self._write_numbers(step, {f"steps/{name}": mean for name, mean in means.items()})

    def _write_numbers(self, step: int, values: Mapping[str, Any]) -> None:
        with self._writing(step):
            for tag, value in values.items():
                if isinstance(value, int | float):
                    tf.summary.scalar(tag, value)

    @contextlib.contextmanager
    def _writing(self, step: int) -> Iterator[None]:
        try:
            with self.writer.as_default(step=step):
                yield
            self.writer.flush()
        except tf.errors.OpError as error:  # a full disk is ResourceExhaustedError, as is no memory
            raise UserError(f"{self.folder}: cannot be written: {first_line(error)}") from error
