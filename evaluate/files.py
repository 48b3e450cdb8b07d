"""Files that are there as a whole or not at all. See `write_whole` and `new_folder`."""

import contextlib
import itertools
import os
import tempfile
from pathlib import Path

from config import UserError


def write_whole(path, write):
    """Call `write(unfinished_path)` and rename the result: nobody ever reads half of it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        write(unfinished)
        os.replace(unfinished, path)


@contextlib.contextmanager
def new_folder(path):
    """Yields a folder to fill, which is renamed to `path` at the end; after an error nothing stays.

    Raises UserError if there is something at `path`, so that nothing is ever written over.
    """
    path = Path(path)
    _require_absent(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}_") as parent:
        unfinished = Path(parent) / path.name
        unfinished.mkdir()
        yield unfinished
        _require_absent(path)
        unfinished.rename(path)


def _require_absent(path):
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UserError(f"{path} is there already; choose another --out")


def unused_path(path):
    """`path`, or the first of path_2, path_3 ... at which there is nothing."""
    path = Path(path)
    others = (path.with_name(f"{path.name}_{number}") for number in itertools.count(2))
    return next(p for p in itertools.chain([path], others) if not p.exists())
