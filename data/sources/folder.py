"""Image files in a folder. See `FolderSource`."""

import os
from pathlib import Path
from typing import Any, NoReturn

from config import UserError, reason
from data.sources.base import Splits, file_state, is_image_name, read_file, require_images


class FolderSource:
    """The image files in a folder and its subfolders, sorted by name; links are followed.

    Raises UserError if there is no such folder, no image in it, or a subfolder cannot be read.
    """

    splits: Splits | None = None

    def __init__(self, path: str | Path) -> None:
        self.where = Path(os.path.expanduser(path))
        if not self.where.is_dir():
            raise UserError(f"data.source: no such folder: {path}")
        self.names: list[str] = []
        visited = set()
        for folder, subfolders, files in os.walk(self.where, onerror=_refuse, followlinks=True):
            real = os.path.realpath(folder)
            if real in visited:  # a link led back to it
                subfolders.clear()
                continue
            visited.add(real)
            found = (Path(folder, file) for file in files if is_image_name(file))
            self.names += [file.relative_to(self.where).as_posix() for file in found]
        self.names.sort()
        require_images(self)

    def read(self, index: int) -> bytes:
        """The bytes of an image file. Raises BadImageError."""
        return read_file(self.where / self.names[index])

    def listing(self) -> list[tuple[Any, ...]]:
        """The name, size and times of every image file."""
        return [(name, *file_state(self.where / name)) for name in self.names]


def _refuse(error: OSError) -> NoReturn:
    """Raise UserError for a folder that cannot be read; `os.walk` would pass over it silently."""
    raise UserError(f"{error.filename}: cannot be read: {reason(error)}") from error
