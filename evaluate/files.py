"""Files that are there as a whole or not at all. See `write_whole` and `NewFolder`."""

import contextlib
import errno
import itertools
import os
import tempfile
from pathlib import Path

from config import UserError, reason

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


def write_whole(path, write):
    """Call `write(unfinished_path)` and rename the result: nobody ever reads half of it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        write(unfinished)
        os.replace(unfinished, path)


class NewFolder:
    """A context manager: a folder to fill, there under its name at the end, or not at all.

    At `path` there must be nothing, so that nothing is ever written over; with `is_numbered`, the
    folder becomes `path`, or else path_2, path_3 ... at which there is nothing. Afterwards, the
    attribute `path` says which. Raises UserError, also for what cannot be written.
    """

    def __init__(self, path, is_numbered=False):
        self.path = Path(os.path.abspath(path))
        self.is_numbered = is_numbered
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        if not (self.is_numbered or _is_empty(self.path)):
            raise self._is_there()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            parent = self._stack.enter_context(
                tempfile.TemporaryDirectory(dir=self.path.parent, prefix=f".{self.path.name}_")
            )
        except OSError as error:
            raise self._cannot_be_written(error) from error
        self._unfinished = Path(parent) / self.path.name
        self._unfinished.mkdir()
        return self._unfinished

    def __exit__(self, kind, error, _):
        with self._stack:
            if isinstance(error, OSError) and error.filename is None:  # a full disk
                raise self._cannot_be_written(error) from error
            if kind is None:
                self._finish()

    def _finish(self):
        names = (f"{self.path.name}_{number}" for number in itertools.count(2))
        paths = itertools.chain([self.path], map(self.path.with_name, names))
        for self.path in paths:
            if _is_empty(self.path):
                try:
                    self._unfinished.rename(self.path)
                    return
                except OSError as error:
                    if error.errno not in _TAKEN:  # by another process, just now
                        raise self._cannot_be_written(error) from error
            if not self.is_numbered:
                raise self._is_there()

    def _is_there(self):
        return UserError(f"{self.path} is there already; choose another --out")

    def _cannot_be_written(self, error):
        return UserError(f"{self.path}: cannot be written: {reason(error)}")


def _is_empty(path):
    """Whether nothing is at a path but, at most, a folder without anything in it."""
    return not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir()))
