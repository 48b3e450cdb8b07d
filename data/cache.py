"""Images decoded and resized once, kept in memory or on disk. See `cached`."""

import fcntl
import hashlib
import io
import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np

from config import UserError, reason
from data.batches import Batches
from data.images import to_uint8
from data.stored import DiskImages, MemoryImages

_VERSION = 1  # of how images are decoded and resized
_BATCH = 64
_GB = 1e9


def cached(images, settings, report=None):
    """The same images as `config.data.cache` asks for; `images` is an `EncodedImages`.

    "none": as they are. "memory", "disk": rounded to 8 bits, so within half a grey level. On disk
    they are a .npy file, named by the content of the images and the options, which is written once,
    goes on where it was interrupted, and serves all runs. `report(done, total)` is called on the
    way. Raises UserError if they do not fit.
    """
    if settings.cache == "none":
        return images
    shape = (len(images), settings.resolution, settings.resolution, 3)
    if settings.cache == "memory":
        require_memory(settings, len(images))
        pixels = np.empty(shape, np.uint8)
        for start, rows in _rows(images, 0, report):
            pixels[start : start + len(rows)] = rows
        return MemoryImages(pixels)
    path = _path(images, settings)
    try:
        kept = _open(path, shape)
        if kept is None:
            if path.exists():
                warnings.warn(f"{path} is damaged; it is made again", stacklevel=3)
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(images, path, shape, report)
            kept = _open(path, shape)
    except OSError as error:
        raise UserError(f"data.cache_folder: {path.parent}: {reason(error)}") from error
    return kept


def require_memory(settings, count):
    """Raise UserError if the machine cannot hold so many images in memory."""
    _require_room(count * settings.resolution**2 * 3, _memory(), "memory", "this machine")


def _rows(images, start, report):
    """(index of the first, uint8 images) for batches of all images from `start` on."""
    order = np.arange(start, len(images))
    for batch in Batches(images, order, _BATCH, keep_last=True):
        yield start, to_uint8(batch.numpy())
        start += len(batch)
        if report:
            report(start, len(images))


def _path(images, settings):
    key = hashlib.blake2b(images.digests.tobytes(), digest_size=8)
    options = [_VERSION, settings.resolution, settings.crop, settings.antialias]
    key.update(json.dumps(options).encode())
    return Path(os.path.expanduser(settings.cache_folder)) / f"images_{key.hexdigest()}.npy"


def _open(path, shape):
    """The file as `DiskImages`; None if it is not there, or damaged."""
    header = _header(shape)
    try:
        images = DiskImages(path, len(header), shape)
    except FileNotFoundError:
        return None
    size = len(header) + int(np.prod(shape))
    is_whole = os.fstat(images.file).st_size == size
    return images if is_whole and os.pread(images.file, len(header), 0) == header else None


def _write(images, path, shape, report):
    """Write the file, from the first image that an interrupted writing left out.

    One process at a time: others wait, and find it done.
    """
    unfinished = path.with_suffix(".unfinished")
    with open(unfinished, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if _open(path, shape):
            unfinished.unlink(missing_ok=True)
            return
        row_bytes = int(np.prod(shape[1:]))
        header = _header(shape)
        done = max(0, os.fstat(file.fileno()).st_size - len(header)) // row_bytes
        _require_room((len(images) - done) * row_bytes, _free(path.parent), "disk", path.parent)
        file.truncate(len(header) + done * row_bytes if done else 0)
        if not done:
            file.write(header)
        for _, rows in _rows(images, done, report):
            file.write(rows)
        file.flush()
        os.fsync(file.fileno())
        os.replace(unfinished, path)


def _header(shape):
    """The first bytes of a .npy file of uint8."""
    header = io.BytesIO()
    description = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, description)
    return header.getvalue()


def _require_room(needed, available, kind, where):
    if needed > available:
        raise UserError(
            f"data.cache: {kind} takes {needed / _GB:.1f} GB, more than the {available / _GB:.1f} "
            f"GB of {where}"
        )


def _memory():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _free(folder):
    return shutil.disk_usage(folder).free
