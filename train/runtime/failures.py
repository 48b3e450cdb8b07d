"""Running out of memory as one line for the user. See `out_of_memory_reported`."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from config import UserError, first_line


@contextlib.contextmanager
def out_of_memory_reported(
    advice: str = "try smaller batches, or fewer --jobs",
) -> Iterator[None]:
    """Within, running out of memory raises UserError, with advice on what to try."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise UserError(f"out of memory; {advice} ({first_line(error)})") from error
