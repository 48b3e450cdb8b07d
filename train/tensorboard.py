"""What TensorBoard shows of a run: the same tags and steps in all. See `TensorBoard`."""

import contextlib

import tensorflow as tf

from config import UserError
from train.device import first_line


class TensorBoard:
    """Writes event files to a folder; the step is the epoch. Raises UserError for a full disk."""

    def __init__(self, folder):
        self.folder = folder
        self.writer = tf.summary.create_file_writer(str(folder))

    def write_pictures(self, epoch, sheets, scale):
        """Image sheets by name, and the distribution of the elements of s (d_z,)."""
        with self._writing(epoch):
            for name, sheet in sheets.items():
                tf.summary.image(name, sheet[None])
            tf.summary.histogram("scale", scale)

    def write_scalars(self, row):
        """The numbers of an epoch's row."""
        with self._writing(row["epoch"]):
            for name, value in row.items():
                if isinstance(value, (int, float)) and name != "epoch":
                    tf.summary.scalar(name, value)

    @contextlib.contextmanager
    def _writing(self, epoch):
        try:
            with self.writer.as_default(step=epoch):
                yield
            self.writer.flush()
        except tf.errors.OpError as error:  # a full disk is ResourceExhaustedError, as is no memory
            raise UserError(f"{self.folder}: cannot be written: {first_line(error)}") from error
