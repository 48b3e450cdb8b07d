"""Image files in a folder. See `FolderSource`."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from config import UserError, reason
from data.sources.base import (
    PassedOver,
    Splits,
    file_state,
    is_image_name,
    printable,
    read_file,
    require_images,
)


class FolderSource:
    """The image files in a folder and its subfolders, sorted by name; links are followed.

    Raises UserError if there is no such folder or no image in it. `expected` as in `PassedOver`.
    """

    splits: Splits | None = None

    def __init__(self, path: str | Path, expected: Collection[str] = ()) -> None:
        self.where = Path(os.path.expanduser(path))
        if self.where.is_file():
            raise UserError(f"data.source: {path} is a file, not a folder; see zip:PATH")
        if not self.where.is_dir():
            raise UserError(f"data.source: no such folder: {path}")
        self.names: list[str] = []
        self.passed_over = PassedOver(expected)
        visited = set()
        walk = os.walk(self.where, onerror=self._pass_over, followlinks=True)
        for folder, subfolders, files in walk:
            real = os.path.realpath(folder)
            if real in visited:  # a link led back to it
                subfolders.clear()
                continue
            visited.add(real)
            for file in files:
                name = Path(folder, file).relative_to(self.where).as_posix()
                if is_image_name(file):
                    self.names.append(name)
                else:
                    self.passed_over.add_file(name)
        self.names.sort()
        self.passed_over.folders.sort()
        require_images(self)

    def _pass_over(self, error: OSError) -> None:
        line = f"{error.filename}: cannot be read: {reason(error)}"
        self.passed_over.folders.append(printable(line))

    def read(self, index: int) -> bytes:
        """The bytes of an image file. Raises BadImageError."""
        return read_file(self.where / self.names[index])

    def listing(self) -> list[tuple[Any, ...]]:
        """The name, size and times of every image file."""
        return [(name, *file_state(self.where / name)) for name in self.names]
