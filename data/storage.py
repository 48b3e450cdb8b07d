"""Write files and folders so that others see them whole or not at all.

See `write_whole`, `NewFolder` and `save_image`; `flush` is for what a loss of power must not take.
This module imports neither TensorFlow nor any other module of the project but the config.
"""

import contextlib
import errno
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from PIL import Image

from config import UserError, reason

_NAME_IS_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)  # another process was faster
_FOLDERS_ARE_NOT_FLUSHED = (errno.EINVAL, errno.EBADF)  # by some network file systems


def write_whole(path: str | Path, write: Callable[[Path], object]) -> None:
    """Call `write(unfinished_path)`, then rename that file to `path`: nobody reads half a file.

    Afterwards the file is on disk. Raises OSError, which names a file.
    """
    path = Path(path)
    make_folder(path.parent)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, named_in_errors(path):
        unfinished = Path(folder) / path.name
        write(unfinished)
        flush(unfinished)
        os.replace(unfinished, path)
    flush(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and the missing ones above it, if it is missing; then all are on disk."""
    if not path.exists():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        flush(path.parent)
    elif not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def flush(*paths: Path) -> None:
    """Wait until these files are on disk; of a folder, the names that are in it.

    Without it, a file that was written or renamed may be empty or gone after a loss of power.
    """
    for path in paths:
        opened = os.open(path, os.O_RDONLY)
        try:
            with named_in_errors(path):
                os.fsync(opened)
        except OSError as error:
            if not (path.is_dir() and error.errno in _FOLDERS_ARE_NOT_FLUSHED):
                raise
        finally:
            os.close(opened)


@contextlib.contextmanager
def named_in_errors(path: Path) -> Iterator[None]:
    """Within, an OSError that names no file, as on a full disk, names this one."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        what = error.strerror or f"written in part only ({error})"  # says NumPy
        raise OSError(error.errno or errno.EIO, what, str(path)) from error


def save_image(path: str | Path, pixels: np.ndarray) -> None:
    """Write a uint8 image (height, width, 3) as PNG; make the folder. Raises OSError."""
    make_folder(Path(path).parent)
    Image.fromarray(pixels).save(path, "PNG")


class NewFolder:
    """A context manager that gives a folder to fill, and gives it its name at the end.

    After an error nothing is left. The folder never replaces anything: if something is at `path`
    already, it raises UserError or, with `is_numbered`, takes the first free name of path_2,
    path_3 ... Afterwards the attribute `path` is the folder's path. What cannot be written raises
    UserError too.
    """

    def __init__(self, path: str | Path, is_numbered: bool = False) -> None:
        self.path = Path(os.path.abspath(path))
        self.is_numbered = is_numbered

    def require_free(self) -> None:
        """Raise UserError if the name is taken, unless a number would be added to it."""
        if os.path.lexists(self.path) and not self.is_numbered:
            raise self._name_taken_error()

    def __enter__(self) -> Path:
        self.require_free()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary = tempfile.TemporaryDirectory(
                dir=self.path.parent, prefix=f".{self.path.name}_"
            )
            self._unfinished = Path(self._temporary.name) / self.path.name
            self._unfinished.mkdir()
        except OSError as error:
            raise self._write_error(error) from error
        return self._unfinished

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        with self._temporary:
            if _is_from_open_file(error):
                raise self._write_error(error) from error
            if kind is None:
                self._rename_unfinished()

    def _rename_unfinished(self) -> None:
        wanted = self.path
        for suffix in itertools.chain([""], (f"_{number}" for number in itertools.count(2))):
            self.path = wanted.with_name(wanted.name + suffix)
            if not os.path.lexists(self.path):
                try:
                    self._unfinished.rename(self.path)
                    flush(self.path.parent)
                    return
                except OSError as error:
                    if error.errno not in _NAME_IS_TAKEN:
                        raise self._write_error(error) from error
            if not self.is_numbered:
                raise self._name_taken_error()

    def _name_taken_error(self) -> UserError:
        return UserError(f"{self.path} is there already; choose another --out")

    def _write_error(self, error: OSError) -> UserError:
        return UserError(f"{self.path}: cannot be written: {reason(error)}")


def _is_from_open_file(error: BaseException | None) -> bool:
    """Whether writing to an open file failed, as on a full disk: such an error names no file."""
    is_nameless = isinstance(error, OSError) and error.filename is None
    return is_nameless and not isinstance(error, BrokenPipeError)
