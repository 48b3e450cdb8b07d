"""What one look at every image of a source finds out. See `take_inventory`."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from config import UserError, reason
from data.checked_files import read_checked, write_checked
from data.images import (
    LIBJPEG_LINES,
    BadImageError,
    decode_file,
    decode_or_refuse,
    to_decodable,
)
from data.sources.base import Source, full_name, printable
from data.standard_error import captured_lines

_VERSION = 2  # of the inventory file, and of the rules for bad images
_TEXTS = ("problems", "remarks")  # texts by index; two arrays each in the file
_DIGEST_SIZE = 16
_IMAGES_PER_ROUND = 256  # on_progress is called after each round


class Inventory(NamedTuple):
    """One entry an image, in the order of the source."""

    digests: np.ndarray  # (n, 16) uint8, of the file's bytes; zeros where they cannot be read
    sizes: np.ndarray  # (n, 2) int32, height and width; zeros for a bad image
    plain: np.ndarray  # (n,) bool: TensorFlow can decode the bytes unchanged
    problems: dict[int, str]  # index of each bad image: the reason
    remarks: dict[int, str]  # index of each unusual good image: what is unusual

    @property
    def good(self) -> np.ndarray:
        """Which images are not bad: (n,) bool."""
        good = np.ones(len(self.digests), dtype=bool)
        good[list(self.problems)] = False
        return good


def take_inventory(
    source: Source, folder: str, on_progress: Callable[[int, int], None] | None = None
) -> Inventory:
    """Load the inventory of a source from `folder`; the first time, call `scan` to make it.

    `scan` makes a new one when the names, sizes or times of files have changed, when an image could
    not be read the last time, and, with a warning, when the file is damaged.
    """
    kept = _load(_inventory_path(source, folder), _listing_digest(source))
    return kept or scan(source, folder, on_progress)


def scan(
    source: Source, folder: str, on_progress: Callable[[int, int], None] | None = None
) -> Inventory:
    """Read and decode every image once, on all cores, and keep the inventory in `folder`.

    Calls `on_progress(done, total)` on the way.
    """
    path = _inventory_path(source, folder)
    listing = _listing_digest(source)  # before reading, in case a file changes meanwhile
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"data.cache_folder: {path.parent}: {reason(error)}") from error
    count = len(source.names)
    inventory = Inventory(
        digests=np.zeros((count, _DIGEST_SIZE), np.uint8),
        sizes=np.zeros((count, 2), np.int32),
        plain=np.zeros(count, bool),
        problems={},
        remarks={},
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, count, _IMAGES_PER_ROUND):
            indices = range(start, min(start + _IMAGES_PER_ROUND, count))
            with captured_lines(LIBJPEG_LINES) as lines:
                animated = list(pool.map(lambda index: _examine(source, index, inventory), indices))
            for index in indices:
                if lines or animated[index - start]:
                    _remark(source, index, inventory)
            if on_progress:
                on_progress(indices.stop, count)
    # A file that could not be read may be readable the next time.
    if all(inventory.digests[index].any() for index in inventory.problems):
        _save(path, listing, inventory)
    return inventory


def require_good(source: Source, inventory: Inventory, indices: np.ndarray) -> None:
    """Raise a UserError that names the first bad image among `indices`, (n,), if there is one."""
    bad = sorted(set(inventory.problems).intersection(indices.tolist()))
    if bad:
        others = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise UserError(
            f"{full_name(source, bad[0])}: {inventory.problems[bad[0]]}{others}; "
            "`python main.py check-data` lists all, data.on_bad_image: skip leaves them out"
        )


def content_digest(content: bytes) -> np.ndarray:
    """The digest of a file's bytes: (16,) uint8."""
    return np.frombuffer(hashlib.blake2b(content, digest_size=_DIGEST_SIZE).digest(), np.uint8)


def _examine(source: Source, index: int, inventory: Inventory) -> bool:
    """Read and decode one image, and enter it in the inventory; returns whether it is animated."""
    try:
        content = source.read(index)
        inventory.digests[index] = content_digest(content)
        decodable = to_decodable(content)
        decode_or_refuse(decodable.content)
        inventory.sizes[index] = decodable.size
        inventory.plain[index] = decodable.content is content
        return decodable.frames > 1
    except BadImageError as error:
        inventory.problems[index] = printable(str(error))
        return False


def _remark(source: Source, index: int, inventory: Inventory) -> None:
    """Decode one image alone, because libjpeg does not say which image its lines are about."""
    with contextlib.suppress(BadImageError):
        _, remark = decode_file(source.read(index))
        if remark:
            inventory.remarks[index] = printable(remark)


def _inventory_path(source: Source, folder: str) -> Path:
    """One file a source: it is replaced when the source's files change."""
    place = os.path.abspath(source.where or source.names[0])
    name = hashlib.blake2b(os.fsencode(place), digest_size=8).hexdigest()
    return Path(os.path.expanduser(folder)) / f"inventory_{name}.npz"


def _listing_digest(source: Source) -> str:
    key = json.dumps([_VERSION, source.listing()]).encode()
    return hashlib.blake2b(key, digest_size=_DIGEST_SIZE).hexdigest()


def _save(path: Path, listing: str, inventory: Inventory) -> None:
    arrays = inventory._asdict()
    for name in _TEXTS:
        texts = arrays[name]
        indices = sorted(texts)
        arrays[name] = np.array([texts[index] for index in indices], np.str_)
        arrays[f"{name}_at"] = np.array(indices, np.int64)
    write_checked(path, lambda file: np.savez(file, listing=listing, **arrays))


def _load(path: Path, listing: str) -> Inventory | None:
    """The inventory in a file; None if the file is absent, damaged or made of another listing."""
    content = read_checked(path, "the images are looked at again")
    if content is None:
        return None
    arrays = dict(np.load(content))
    if arrays.pop("listing") != listing:
        return None
    for name in _TEXTS:
        indices = arrays.pop(f"{name}_at").tolist()
        arrays[name] = dict(zip(indices, arrays[name].tolist(), strict=True))
    return Inventory(**arrays)
