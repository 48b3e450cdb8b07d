"""Redirect the standard error stream, also of C libraries, which do not know `sys.stderr`."""

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator

_CAPTURES = threading.Lock()


@contextlib.contextmanager
def standard_error_to(target: int) -> Iterator[None]:
    """Within, what any thread writes to standard error goes to the file descriptor `target`."""
    kept = os.dup(2)
    try:
        os.dup2(target, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def captured_lines(beginnings: tuple[str, ...]) -> Iterator[list[str]]:
    """Yields a list; afterwards it has the lines that were written to standard error.

    It has those lines that start with one of `beginnings`. The others are written at the end. Other
    threads wait to capture theirs.
    """
    captured: list[str] = []
    with _CAPTURES, tempfile.TemporaryFile() as file:
        try:
            with standard_error_to(file.fileno()):
                yield captured
        finally:
            file.seek(0)
            for line in file.read().decode(errors="replace").splitlines():
                if line.startswith(beginnings):
                    captured.append(line)
                else:
                    print(line, file=sys.stderr)
