"""Paths that the user names, checked without importing TensorFlow."""

from collections.abc import Iterable
from pathlib import Path

from config import UserError


def require_file(path: str | Path, where: str = "") -> None:
    """Raise UserError, which begins with `where`, unless there is a file at `path`."""
    if Path(path).is_dir():
        raise UserError(f"{where}{path} is a folder, not a file")
    if Path(path).exists() and not Path(path).is_file():  # opening a pipe would wait forever
        raise UserError(f"{where}{path} is not a regular file")
    if not Path(path).is_file():
        raise UserError(f"{where}no such file: {path}")


def require_any(paths: Iterable[Path]) -> None:
    """Raise UserError if there is nothing at any of these paths."""
    if not any(path.exists() for path in paths):
        raise UserError(f"no such file or folder: {', '.join(map(str, paths))}")
