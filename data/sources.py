"""Where image files come from: `open_source` turns `data.source` into a list of them.

A source has `names` (in order), `where` (for messages), `read(index)` -> bytes, which raises
BadImageError, and `listing()`, which changes when the files do. `splits` is None, or
{"train": indices, "test": indices} if the source comes with a partition of its own.
"""

import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from config import UserError, reason
from data.images import EXTENSIONS, BadImageError, require_size

_LOCAL_HEADER = struct.Struct("<26xHH")  # of a member of a zip file: sizes of its name and extra


class FolderSource:
    """The image files in a folder and its subfolders, linked ones too, by name."""

    splits = None

    def __init__(self, path):
        self.where = Path(os.path.expanduser(path))
        if not self.where.is_dir():
            raise UserError(f"data.source: no such folder: {path}")
        self.names, visited = [], set()
        for folder, subfolders, files in os.walk(self.where, onerror=_fail, followlinks=True):
            real = os.path.realpath(folder)
            if real in visited:  # a link to a folder around it
                subfolders.clear()
                continue
            visited.add(real)
            found = (Path(folder, file) for file in files if is_image_name(file))
            self.names += [file.relative_to(self.where).as_posix() for file in found]
        self.names.sort()
        require_images(self)

    def read(self, index):
        return read_file(self.where / self.names[index])

    def listing(self):
        return [(name, *file_state(self.where / name)) for name in self.names]


class ZipSource:
    """The image files in a zip file, read in place.

    Nothing is extracted and no name becomes a path, so names such as ../x do no harm.
    """

    splits = None

    def __init__(self, path):
        self.where = Path(os.path.expanduser(path))
        if not self.where.is_file():
            raise UserError(f"data.source: no such zip file: {path}")
        try:
            self.archive = zipfile.ZipFile(self.where)
            self.file = os.open(self.where, os.O_RDONLY)
        except Exception as error:  # zipfile raises a different class for each kind of damage
            raise UserError(f"{path}: not a zip file that can be read: {reason(error)}") from error
        self.members = {
            member.filename: member
            for member in self.archive.infolist()
            if is_image_name(member.filename.rsplit("/", 1)[-1])
            and not member.filename.startswith("__MACOSX/")
        }
        self.names = sorted(self.members)
        require_images(self)

    def read(self, index):
        return self.read_member(self.members[self.names[index]])

    def _read_stored(self, member):
        """The bytes of a member stored without compression, in a third of zipfile's time.

        None for any other, and for one that is not as it should be: zipfile then says why.
        """
        if member.compress_type != zipfile.ZIP_STORED:
            return None
        try:
            header = os.pread(self.file, _LOCAL_HEADER.size, member.header_offset)
            start = member.header_offset + len(header) + sum(_LOCAL_HEADER.unpack(header))
            content = os.pread(self.file, member.file_size, start)
        except (OSError, OverflowError, struct.error):
            return None
        return content if zlib.crc32(content) == member.CRC else None

    def read_member(self, member):
        """The bytes of a member. Raises BadImageError."""
        require_size(member.file_size)
        try:
            return self._read_stored(member) or self.archive.read(member)
        except Exception as error:  # zipfile raises a different class for each kind of damage
            raise BadImageError(f"cannot be read: {reason(error)}") from error

    def listing(self):
        members = [(name, member.file_size, member.CRC) for name, member in self.members.items()]
        return [file_state(self.where), *sorted(members)]


def read_file(path):
    """The bytes of a file. Raises BadImageError."""
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # to open a pipe would wait for ever
            raise BadImageError("not a regular file")
        require_size(state.st_size)
        return path.read_bytes()
    except OSError as error:
        raise BadImageError(f"cannot be read: {reason(error)}") from error


def file_state(path):
    """What changes when a file does: its size and times, of its content and of its permissions."""
    try:
        state = os.stat(path)
    except OSError:
        return (None, None, None)
    return (state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _fail(error):
    raise UserError(f"{error.filename}: cannot be read: {reason(error)}") from error


def is_image_name(name):
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def require_images(source):
    """Raise UserError for a source without images."""
    if not source.names:
        raise UserError(f"{source.where}: no image here (looked for {', '.join(EXTENSIONS)})")


def full_name(source, index):
    """The name of an image for a message."""
    name = source.names[index]
    return printable(name if source.where is None else f"{source.where}/{name}")


def printable(text):
    """The text with control characters and broken Unicode escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def indices_of(source, names):
    """The indices of the images with these names, in the order of the source."""
    return np.array([i for i, name in enumerate(source.names) if name in names], dtype=np.int64)


def open_source(settings):
    """The source of `config.data`. Raises UserError if it is absent or holds no image."""
    kind, _, path = settings.source.partition(":")
    if kind == "celeba":
        from data.celeba import open_celeba

        return open_celeba(path, needs_partition=settings.split is None)
    if kind in ("tfrecord", "tfds"):
        from data import tfrecord

        return {"tfrecord": tfrecord.open_tfrecord, "tfds": tfrecord.open_tfds}[kind](path)
    return {"folder": FolderSource, "zip": ZipSource}[kind](path)
