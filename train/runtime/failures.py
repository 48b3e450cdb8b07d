"""Running out of memory or of disk space as one line for the user. See `shortage_reported`."""

import contextlib
import errno
import os
from collections.abc import Iterator

import tensorflow as tf

from config import UserError, first_line

_OF_FILES = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)


@contextlib.contextmanager
def shortage_reported(advice: str = "try smaller batches, or fewer --jobs") -> Iterator[None]:
    """Within, running out of memory raises UserError, with advice on what to try.

    TensorFlow's error for it is also its error for a full disk and for too many open files: then
    the UserError names the file.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        text = first_line(error)
        path, _, rest = text.partition("; ")  # so TensorFlow joins a path and the system's text
        for number in _OF_FILES:
            if rest.startswith(os.strerror(number)):
                raise UserError(f"{path}: {os.strerror(number).lower()}") from error
        raise UserError(f"out of memory; {advice} ({text})") from error
