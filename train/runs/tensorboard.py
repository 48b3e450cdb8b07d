"""What TensorBoard shows of a run: the same tags and steps in all. See `TensorBoard`."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from config import UserError, first_line


class TensorBoard:
    """Writes event files to a folder; the step is the epoch. Raises UserError for a full disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writer = tf.summary.create_file_writer(str(folder))

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
        with self._writing(row["epoch"]):
            for name, value in row.items():
                if isinstance(value, int | float) and name != "epoch":
                    tf.summary.scalar(name, value)

    @contextlib.contextmanager
    def _writing(self, epoch: int) -> Iterator[None]:
        try:
            with self.writer.as_default(step=epoch):
                yield
            self.writer.flush()
        except tf.errors.OpError as error:  # a full disk is ResourceExhaustedError, as is no memory
            raise UserError(f"{self.folder}: cannot be written: {first_line(error)}") from error
