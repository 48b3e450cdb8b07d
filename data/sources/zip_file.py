"""Image files in a zip file. See `ZipSource`."""

import os
import struct
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from config import UserError, reason
from data.images import BadImageError, require_size
from data.paths import require_file
from data.sources.base import PassedOver, Splits, file_state, is_image_name, require_images

_LOCAL_HEADER = struct.Struct("<26xHH")  # of a member of a zip file: sizes of its name and extra
_ENCRYPTED = 1  # bit of a member's flags


class ZipSource:
    """The image files in a zip file, sorted by name and read in place.

    Nothing is extracted and no name becomes a path, so names such as ../x do no harm. Raises
    UserError if there is no such file, it cannot be read, or there is no image in it. `expected` as
    in `PassedOver`.
    """

    splits: Splits | None = None

    def __init__(self, path: str | Path, expected: Collection[str] = ()) -> None:
        self.where = Path(os.path.expanduser(path))
        require_file(self.where, "data.source: ")
        try:
            self.archive = zipfile.ZipFile(self.where)
            self.file = os.open(self.where, os.O_RDONLY)
        except Exception as error:  # zipfile raises a different class for each kind of damage
            raise UserError(f"{path}: not a zip file that can be read: {reason(error)}") from error
        self.passed_over = PassedOver(expected)
        self.members: dict[str, zipfile.ZipInfo] = {}
        for member in self.archive.infolist():
            if member.is_dir() or member.filename.startswith("__MACOSX/"):
                continue
            if is_image_name(member.filename.rsplit("/", 1)[-1]):
                self.members[member.filename] = member
            else:
                self.passed_over.add_file(member.filename)
        self.names = sorted(self.members)
        require_images(self)

    def read(self, index: int) -> bytes:
        """The bytes of an image file. Raises BadImageError."""
        return self.read_member(self.members[self.names[index]])

    def read_member(self, member: zipfile.ZipInfo) -> bytes:
        """The bytes of any file in the archive. Raises BadImageError."""
        require_size(member.file_size)
        if member.flag_bits & _ENCRYPTED:
            raise BadImageError("encrypted; zip files with a password are not read")
        try:
            return self._read_stored(member) or self.archive.read(member)
        except Exception as error:  # zipfile raises a different class for each kind of damage
            raise BadImageError(f"cannot be read: {reason(error)}") from error

    def _read_stored(self, member: zipfile.ZipInfo) -> bytes | None:
        """Read a member stored without compression, in a third of the time that zipfile takes.

        Returns None for a compressed or damaged member, so that zipfile reads it or says what is
        wrong.
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

    def listing(self) -> list[tuple[Any, ...]]:
        """The size and times of the archive; name, size and checksum of every image file."""
        members = [(name, member.file_size, member.CRC) for name, member in self.members.items()]
        return [file_state(self.where), *sorted(members)]
