"""CelebA with its official partition. See `open_celeba`."""

import os
from pathlib import Path, PurePosixPath
from typing import Any

from config import UserError, reason
from data.images import BadImageError
from data.sources.base import Source, Splits, find_indices
from data.sources.folder import FolderSource
from data.sources.zip_file import ZipSource

PARTITION_FILES = ("list_eval_partition.txt", "list_eval_partition.csv")  # the second: Kaggle's
_PARTS = {"0": "train", "1": "validation", "2": "test"}
_HEADER = ["image_id", "partition"]


class CelebASource:
    """The images of a folder or zip file, with CelebA's official training and test splits."""

    def __init__(self, images: FolderSource | ZipSource, splits: Splits) -> None:
        self.images = images
        self.names, self.where, self.splits = images.names, images.where, splits
        self.passed_over = images.passed_over

    def read(self, index: int) -> bytes:
        """The bytes of an image file. Raises BadImageError."""
        return self.images.read(index)

    def listing(self) -> list[tuple[Any, ...]]:
        """The listing of the folder or zip file."""
        return self.images.listing()


def open_celeba(path: str, needs_partition: bool = True) -> Source:
    """CelebA's images, in a folder or a zip file, with its official training and test splits.

    The partition file may be among the images, in the same folder as they are or the folder around
    it, or in a folder Eval there, as in the official download. Raises UserError if the file is
    absent, malformed or lists other images. Without `needs_partition` there are no splits.
    """
    where = Path(os.path.expanduser(path))
    if not where.exists():
        raise UserError(f"data.source: no such folder or zip file: {path}")
    is_zip = where.is_file()
    images = (ZipSource if is_zip else FolderSource)(path, expected=PARTITION_FILES)
    if not needs_partition:
        return images
    if images.passed_over.folders:  # the partition lists their images
        raise UserError(images.passed_over.folders[0])
    found = _read_partition_inside(images) if is_zip else None
    file, text = found or _read_partition_around(images.where)
    return CelebASource(images, _match(images, _parse(file, text), file))


def _read_partition_inside(source: ZipSource) -> tuple[str, str] | None:
    """(name, text) of the partition file in the archive; None if it is not there."""
    for member in source.archive.infolist():
        if PurePosixPath(member.filename).name in PARTITION_FILES:
            file = f"{source.where}/{member.filename}"
            try:
                return file, source.read_member(member).decode()
            except (BadImageError, UnicodeDecodeError) as error:
                raise UserError(f"{file}: {error}") from error
    return None


def _read_partition_around(where: Path) -> tuple[str, str]:
    """(name, text) of the partition file in or near a folder, or near an archive."""
    around = where.resolve().parent
    folders = (where, around, around / "Eval", around.parent / "Eval", around.parent)
    for file in (folder / name for folder in folders for name in PARTITION_FILES):
        if file.is_file():
            try:
                return str(file), file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(f"{file}: cannot be read: {reason(error)}") from error
    raise UserError(
        f"data.source: celeba:{where}: no {PARTITION_FILES[0]} inside or beside it. It is in the "
        "folder Eval of CelebA's download (https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html); "
        "or set data.split: 0.1 to split by content"
    )


def _parse(file: str, text: str) -> dict[str, str]:
    """{image name: "train", "validation" or "test"} from lines such as "000001.jpg 0"."""
    parts = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.replace(",", " ").split()
        if not words or words == _HEADER:
            continue
        if len(words) != 2 or words[1] not in _PARTS:
            raise UserError(
                f"{file} line {number}: takes an image name and 0, 1 or 2. Received: {line[:80]!r}"
            )
        parts[words[0]] = _PARTS[words[1]]
    return parts


def _match(source: Source, parts: dict[str, str], file: str) -> Splits:
    """The splits of `source`. Raises UserError unless `parts` lists exactly its images."""
    in_source = {PurePosixPath(name).name: name for name in source.names}
    if len(in_source) < len(source.names):
        twice = next(n for n in source.names if in_source[PurePosixPath(n).name] != n)
        raise UserError(
            f"data.source: celeba:{source.where}: two images of one name, {twice} and "
            f"{in_source[PurePosixPath(twice).name]}; name the folder of one set of images"
        )
    for names, fault in (
        (sorted(parts.keys() - in_source.keys()), f"that {file} lists are not here"),
        (sorted(in_source.keys() - parts.keys()), f"here are not in {file}"),
    ):
        if names:
            raise UserError(
                f"data.source: celeba:{source.where}: {len(names)} images {fault}, the first of "
                f"them {names[0]}; data.split: 0.1 splits any images"
            )
    return {
        split: find_indices(source, {in_source[name] for name in parts if parts[name] == split})
        for split in ("train", "test")
    }
