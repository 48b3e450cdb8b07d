"""Files that are there as a whole or not at all. See `write_whole` and `NewFolder`."""

import errno
import itertools
import os
import tempfile
from pathlib import Path

from config import UserError, reason

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)  # by another process, just now


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

    def __enter__(self):
        if os.path.lexists(self.path) and not self.is_numbered:
            raise self._is_there()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary = tempfile.TemporaryDirectory(
                dir=self.path.parent, prefix=f".{self.path.name}_"
            )
            self._unfinished = Path(self._temporary.name) / self.path.name
            self._unfinished.mkdir()
        except OSError as error:
            raise self._cannot_be_written(error) from error
        return self._unfinished

    def __exit__(self, kind, error, _):
        with self._temporary:
            if _is_of_writing(error):
                raise self._cannot_be_written(error) from error
            if kind is None:
                self._finish()

    def _finish(self):
        wanted = self.path
        for suffix in itertools.chain([""], (f"_{number}" for number in itertools.count(2))):
            self.path = wanted.with_name(wanted.name + suffix)
            if not os.path.lexists(self.path):
                try:
                    self._unfinished.rename(self.path)
                    return
                except OSError as error:
                    if error.errno not in _TAKEN:
                        raise self._cannot_be_written(error) from error
            if not self.is_numbered:
                raise self._is_there()

    def _is_there(self):
        return UserError(f"{self.path} is there already; choose another --out")

    def _cannot_be_written(self, error):
        return UserError(f"{self.path}: cannot be written: {reason(error)}")


def _is_of_writing(error):
    """Whether an error is one of writing to an open file, such as a full disk: it names none."""
    is_nameless = isinstance(error, OSError) and error.filename is None
    return is_nameless and not isinstance(error, BrokenPipeError)
