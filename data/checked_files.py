"""Small derived files with a checksum, so that damage is noticed. See `read_checked`."""

import io
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

from data.storage import write_whole

_CHECKSUM_SIZE = 4


def write_checked(path: Path, write: Callable[[io.BytesIO], object]) -> None:
    """Write what `write(file)` writes, then a checksum; NumPy's readers ignore what follows."""
    file = io.BytesIO()
    write(file)
    file.write(_checksum(path, file.getbuffer()))
    write_whole(path, lambda unfinished: unfinished.write_bytes(file.getbuffer()))


def read_checked(path: Path, remedy: str) -> io.BytesIO | None:
    """What `write_checked` wrote; None if the file is absent or, with a warning, damaged.

    The warning ends with `remedy`, such as "the features are computed again".
    """
    try:
        content = path.read_bytes()
    except OSError:  # if it is not absent, writing it again says what is wrong
        return None
    if content[-_CHECKSUM_SIZE:] == _checksum(path, memoryview(content)[:-_CHECKSUM_SIZE]):
        return io.BytesIO(content)
    warnings.warn(f"{path} is damaged or outdated; {remedy}", stacklevel=3)
    return None


def _checksum(path: Path, content: memoryview) -> bytes:
    """A checksum of name and content: a copy of another file is noticed too."""
    return zlib.crc32(content, zlib.crc32(path.name.encode())).to_bytes(_CHECKSUM_SIZE, "big")
