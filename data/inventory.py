"""What is known of every image of a source after one look at all of them. See `take_inventory`."""

import hashlib
import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from config import UserError, reason
from data.images import BadImageError, decode, to_decodable
from data.sources import full_name, printable
from evaluate.files import write_whole

_VERSION = 1  # of the file, and of what counts as a bad image
_DIGEST_SIZE = 16
_AT_ONCE = 256


class Inventory(NamedTuple):
    """One entry an image, in the order of the source."""

    digests: np.ndarray  # (n, 16) uint8, of the file's bytes; zeros where they cannot be read
    sizes: np.ndarray  # (n, 2) int32, height and width; zeros for a bad image
    plain: np.ndarray  # (n,) bool: TensorFlow decodes the bytes as they are
    problems: dict[int, str]  # the reason by the index of each bad image

    @property
    def good(self):
        """(n,) bool."""
        good = np.ones(len(self.digests), dtype=bool)
        good[list(self.problems)] = False
        return good


def take_inventory(source, folder, report=None):
    """The inventory of a source: read from `folder` or, the first time, made by `scan` and kept.

    It is made again when the files' names, sizes or times have changed, or one could not be read.
    """
    path = _path(source, folder)
    return _read(path, len(source.names)) or scan(source, folder, report)


def scan(source, folder, report=None):
    """Read and decode every image once, on all cores; keep the inventory in `folder`.

    `report(done, total)` is called on the way.
    """
    path = _path(source, folder)  # of the files as they are before they are read
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
        for start in range(0, count, _AT_ONCE):
            indices = range(start, min(start + _AT_ONCE, count))
            list(pool.map(lambda index: _look_at(source, index, inventory), indices))
            if report:
                report(indices.stop, count)
    if all(inventory.digests[index].any() for index in inventory.problems):
        _write(path, inventory)  # what could not even be read may be readable the next time
    return inventory


def require_good(source, inventory, indices):
    """Raise UserError, naming the first, if any of these images is bad."""
    bad = sorted(set(inventory.problems).intersection(indices.tolist()))
    if bad:
        others = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise UserError(
            f"{full_name(source, bad[0])}: {inventory.problems[bad[0]]}{others}; "
            "`python main.py check-data` lists all, data.on_bad_image: skip leaves them out"
        )


def _look_at(source, index, inventory):
    try:
        content = source.read(index)
        digest = hashlib.blake2b(content, digest_size=_DIGEST_SIZE).digest()
        inventory.digests[index] = np.frombuffer(digest, np.uint8)
        decodable, size = to_decodable(content)
        decode(decodable)
        inventory.sizes[index] = size
        inventory.plain[index] = decodable is content
    except BadImageError as error:
        inventory.problems[index] = printable(str(error))
    except tf.errors.ResourceExhaustedError:  # that says nothing about the image
        raise
    except tf.errors.OpError:
        inventory.problems[index] = "truncated or damaged"


def _path(source, folder):
    key = json.dumps([_VERSION, source.listing()]).encode()
    name = hashlib.blake2b(key, digest_size=8).hexdigest()
    return Path(os.path.expanduser(folder)) / f"inventory_{name}.npz"


def _write(path, inventory):
    indices = sorted(inventory.problems)
    reasons = np.array([inventory.problems[index] for index in indices], dtype=np.str_)
    arrays = inventory._asdict() | {"problems": np.array(indices, np.int64), "reasons": reasons}
    write_whole(path, lambda unfinished: np.savez(unfinished, **arrays))


def _read(path, count):
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        reasons = arrays.pop("reasons").tolist()
        problems = dict(zip(arrays.pop("problems").tolist(), reasons, strict=True))
        inventory = Inventory(**arrays, problems=problems)
        if len(inventory.digests) != count:
            raise ValueError("of other images")
    except OSError:
        return None
    except Exception:  # numpy and zipfile raise many classes for a damaged file
        warnings.warn(f"{path} is damaged; the images are looked at again", stacklevel=3)
        return None
    return inventory
