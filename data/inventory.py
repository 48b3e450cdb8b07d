"""What one look at every image of a source finds out. See `take_inventory`."""

import hashlib
import json
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from config import UserError, reason
from data.images import BadImageError, decode_or_refuse, to_decodable
from data.sources.base import Source, full_name, printable
from data.storage import write_whole

_VERSION = 1  # of the inventory file, and of the rules for bad images
_DIGEST_SIZE = 16
_IMAGES_PER_ROUND = 256  # on_progress is called after each round


class Inventory(NamedTuple):
    """One entry an image, in the order of the source."""

    digests: np.ndarray  # (n, 16) uint8, of the file's bytes; zeros where they cannot be read
    sizes: np.ndarray  # (n, 2) int32, height and width; zeros for a bad image
    plain: np.ndarray  # (n,) bool: TensorFlow can decode the bytes unchanged
    problems: dict[int, str]  # index of each bad image: the reason

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

    `scan` makes a new one when the names, sizes or times of files have changed, and when an image
    could not be read the last time.
    """
    kept = _load(_inventory_path(source, folder), len(source.names))
    return kept or scan(source, folder, on_progress)


def scan(
    source: Source, folder: str, on_progress: Callable[[int, int], None] | None = None
) -> Inventory:
    """Read and decode every image once, on all cores, and keep the inventory in `folder`.

    Calls `on_progress(done, total)` on the way.
    """
    path = _inventory_path(source, folder)  # named before reading, in case a file changes meanwhile
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
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, count, _IMAGES_PER_ROUND):
            indices = range(start, min(start + _IMAGES_PER_ROUND, count))
            list(pool.map(lambda index: _examine(source, index, inventory), indices))
            if on_progress:
                on_progress(indices.stop, count)
    if all(inventory.digests[index].any() for index in inventory.problems):
        _save(path, inventory)  # a file that could not be read may be readable the next time
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


def _examine(source: Source, index: int, inventory: Inventory) -> None:
    """Read and decode one image, and enter what was found in the inventory."""
    try:
        content = source.read(index)
        digest = hashlib.blake2b(content, digest_size=_DIGEST_SIZE).digest()
        inventory.digests[index] = np.frombuffer(digest, np.uint8)
        decodable, size = to_decodable(content)
        decode_or_refuse(decodable)
        inventory.sizes[index] = size
        inventory.plain[index] = decodable is content
    except BadImageError as error:
        inventory.problems[index] = printable(str(error))


def _inventory_path(source: Source, folder: str) -> Path:
    key = json.dumps([_VERSION, source.listing()]).encode()
    name = hashlib.blake2b(key, digest_size=8).hexdigest()
    return Path(os.path.expanduser(folder)) / f"inventory_{name}.npz"


def _save(path: Path, inventory: Inventory) -> None:
    indices = sorted(inventory.problems)
    reasons = np.array([inventory.problems[index] for index in indices], dtype=np.str_)
    arrays = inventory._asdict() | {"problems": np.array(indices, np.int64), "reasons": reasons}
    write_whole(path, lambda unfinished: np.savez(unfinished, **arrays))


def _load(path: Path, count: int) -> Inventory | None:
    """The inventory of `count` images in a file; None if the file is absent or damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        reasons = arrays.pop("reasons").tolist()
        problems = dict(zip(arrays.pop("problems").tolist(), reasons, strict=True))
        inventory = Inventory(**arrays, problems=problems)
        if len(inventory.digests) != count:
            raise ValueError("the inventory of other images")
    except OSError:
        return None
    except Exception:  # numpy and zipfile raise many classes for a damaged file
        warnings.warn(f"{path} is damaged; the images are looked at again", stacklevel=3)
        return None
    return inventory
