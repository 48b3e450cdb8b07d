"""TensorFlow's errors in one line for the user."""

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from config import UserError


def first_line(error: BaseException) -> str:
    """What TensorFlow says about an error, in one line, without the names of its nodes."""
    text = str(error).strip() or type(error).__name__
    return re.sub(r"\{\{.*?\}\}\s*", "", text).splitlines()[0]


@contextlib.contextmanager
def out_of_memory_reported(
    advice: str = "try smaller batches, or fewer --jobs",
) -> Iterator[None]:
    """Within, running out of memory raises UserError, with advice on what to try."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise UserError(f"out of memory; {advice} ({first_line(error)})") from error
