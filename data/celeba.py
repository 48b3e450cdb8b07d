"""CelebA with its official partition. See `open_celeba`."""

import os
from pathlib import Path, PurePosixPath

from config import UserError, reason
from data.images import BadImageError
from data.sources import FolderSource, ZipSource, indices_of

PARTITION_FILES = ("list_eval_partition.txt", "list_eval_partition.csv")  # the second: Kaggle's
_PARTS = {"0": "train", "1": "validation", "2": "test"}
_HEADER = ["image_id", "partition"]


def open_celeba(path, needs_partition=True):
    """CelebA's images, in a folder or a zip file, with its official training and test splits.

    list_eval_partition.txt is looked for inside, beside, in the folder around, and in an Eval/ of
    either, as in the official download. Raises UserError if it is absent, malformed or of other
    images, unless it is not needed.
    """
    is_zip = Path(os.path.expanduser(path)).is_file()
    source = ZipSource(path) if is_zip else FolderSource(path)
    if needs_partition:
        file, text = _find_partition_in_zip(source) if is_zip else (None, None)
        if file is None:
            file, text = _find_partition(source.where)
        source.splits = _match(source, _parse(file, text), file)
    return source


def _find_partition_in_zip(source):
    for member in source.archive.infolist():
        if PurePosixPath(member.filename).name in PARTITION_FILES:
            file = f"{source.where}/{member.filename}"
            try:
                return file, source.read_member(member).decode()
            except (BadImageError, UnicodeDecodeError) as error:
                raise UserError(f"{file}: {error}") from error
    return None, None


def _find_partition(where):
    around = where.resolve().parent
    folders = (where, around, around / "Eval", around.parent / "Eval", around.parent)
    for file in (folder / name for folder in folders for name in PARTITION_FILES):
        if file.is_file():
            try:
                return file, file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(f"{file}: cannot be read: {reason(error)}") from error
    raise UserError(
        f"data.source: celeba:{where}: no {PARTITION_FILES[0]} inside or beside it. It is in the "
        "folder Eval of CelebA's download (https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html); "
        "or set data.split: 0.1 to split by content"
    )


def _parse(file, text):
    """{image name: "train", "validation" or "test"} of lines such as "000001.jpg 0"."""
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


def _match(source, parts, file):
    """{"train": indices, "test": indices}; the images and the partition must be the same."""
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
        split: indices_of(source, {in_source[name] for name in parts if parts[name] == split})
        for split in ("train", "test")
    }
