"""What every source of image files offers, and helpers for sources and messages. See `Source`."""

import os
import stat
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypedDict

import numpy as np

from config import UserError, printable, reason
from data.images import EXTENSIONS, BadImageError, require_size

Splits = dict[str, np.ndarray]  # "train" and "test": (n,) indices of images


class Kind(TypedDict):
    """The files with one ending: their number, and the first by name."""

    count: int
    example: str


class PassedOver:
    """What a folder or archive holds beside its images. Hidden files do not count.

    `kinds` has the files by ending, in lower case. `folders` has one line about each folder that
    cannot be read. Files named as one of `expected` do not count.
    """

    def __init__(self, expected: Collection[str] = ()) -> None:
        self.expected = expected
        self.kinds: dict[str, Kind] = {}
        self.folders: list[str] = []

    def add_file(self, name: str) -> None:
        """Count a file, by its name in the source."""
        path = PurePosixPath(name)
        if path.name in self.expected or any(part.startswith(".") for part in path.parts):
            return
        name = printable(name)
        kind = self.kinds.setdefault(printable(path.suffix.lower()), Kind(count=0, example=name))
        kind["count"] += 1
        kind["example"] = min(kind["example"], name)


class Source(Protocol):
    """Encoded images in a fixed order.

    `names` has one entry an image. `where` is the folder or archive that stands before a name in
    messages; None if the names hold their path already. `splits` is None for a source without a
    partition of its own.
    """

    names: list[str]
    where: Path | None
    splits: Splits | None
    passed_over: PassedOver

    def read(self, index: int) -> bytes:
        """The encoded image. Raises BadImageError."""

    def listing(self) -> list[tuple[Any, ...]]:
        """What changes whenever the files change; JSON can hold it."""


def read_file(path: Path) -> bytes:
    """The bytes of a file. Raises BadImageError."""
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # opening a pipe would wait forever
            raise BadImageError("not a regular file")
        require_size(state.st_size)
        return path.read_bytes()
    except OSError as error:
        raise BadImageError(f"cannot be read: {reason(error)}") from error


def file_state(path: str | Path) -> tuple[int | None, int | None, int | None]:
    """What changes when a file does: size, time of its content, time of its permissions."""
    try:
        state = os.stat(path)
    except OSError:
        return (None, None, None)
    return (state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def is_image_name(name: str) -> bool:
    """Whether a file name (without folder) has the ending of an image and is not hidden."""
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def require_images(source: Source) -> None:
    """Raise UserError for a source without images."""
    if not source.names and source.passed_over.folders:
        raise UserError(source.passed_over.folders[0])
    if not source.names:
        raise UserError(f"{source.where}: no image here (looked for {', '.join(EXTENSIONS)})")


def require_folders(source: Source) -> None:
    """Raise UserError if the source has a folder that cannot be read."""
    if source.passed_over.folders:
        raise UserError(
            f"{source.passed_over.folders[0]}; data.on_bad_image: skip leaves such folders out"
        )


def full_name(source: Source, index: int) -> str:
    """The name of an image for a message."""
    name = source.names[index]
    return printable(name if source.where is None else f"{source.where}/{name}")


def find_indices(source: Source, names: Collection[str]) -> np.ndarray:
    """The indices of the images with these names, in the order of the source: (n,) int64."""
    return np.array([i for i, name in enumerate(source.names) if name in names], dtype=np.int64)
