"""Decode and resize images once, and keep them in memory or on disk. See `cached`."""

import fcntl
import hashlib
import io
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from config import UserError, reason
from config.sections import DataConfig
from data.batches import Batches
from data.images import to_uint8
from data.stored import DiskImages, EncodedImages, Images, MemoryImages

_VERSION = 1  # of decoding and resizing: another version makes other cache files
_BATCH_SIZE = 64
_GB = 1e9
_Shape = tuple[int, int, int, int]  # (n, resolution, resolution, 3)


def cached(
    images: EncodedImages,
    data_config: DataConfig,
    on_progress: Callable[[int, int], None] | None = None,
) -> Images:
    """The same images, kept as `data.cache` says. Calls `on_progress(done, total)` on the way.

    "none": not kept. "memory" and "disk": kept in 8 bits, so rounded by up to half a grey level.
    The file on disk serves all runs; its name comes from the content of the images and the options.
    It is written once, and an interrupted writing is continued. Raises UserError if the images do
    not fit.
    """
    if data_config.cache == "none":
        return images
    shape = (len(images), data_config.resolution, data_config.resolution, 3)
    if data_config.cache == "memory":
        return _keep_in_memory(images, data_config, shape, on_progress)
    return _keep_on_disk(images, data_config, shape, on_progress)


def require_memory(data_config: DataConfig, count: int) -> None:
    """Raise UserError if the machine's memory cannot hold `count` images."""
    _require_room(count * data_config.resolution**2 * 3, _memory_bytes(), "memory", "this machine")


def _keep_in_memory(
    images: EncodedImages,
    data_config: DataConfig,
    shape: _Shape,
    on_progress: Callable[[int, int], None] | None,
) -> MemoryImages:
    require_memory(data_config, len(images))
    pixels = np.empty(shape, np.uint8)
    for start, rows in _iterate_pixels(images, 0, on_progress):
        pixels[start : start + len(rows)] = rows
    return MemoryImages(pixels)


def _keep_on_disk(
    images: EncodedImages,
    data_config: DataConfig,
    shape: _Shape,
    on_progress: Callable[[int, int], None] | None,
) -> DiskImages:
    path = _cache_path(images, data_config)
    try:
        kept = _open_file(path, shape)
        if kept is None:
            if path.exists():
                warnings.warn(f"{path} is damaged; it is made again", stacklevel=4)
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_file(images, path, shape, on_progress)
            kept = _open_file(path, shape)
    except OSError as error:
        raise UserError(f"data.cache_folder: {path.parent}: {reason(error)}") from error
    return kept


def _iterate_pixels(
    images: EncodedImages, start: int, on_progress: Callable[[int, int], None] | None
) -> Iterator[tuple[int, np.ndarray]]:
    """(index of the first, uint8 pixels) for batches of all images from `start` on."""
    order = np.arange(start, len(images))
    for batch in Batches(images, order, _BATCH_SIZE, keep_last=True):
        yield start, to_uint8(batch.numpy())
        start += len(batch)
        if on_progress:
            on_progress(start, len(images))


def _cache_path(images: EncodedImages, data_config: DataConfig) -> Path:
    key = hashlib.blake2b(images.digests.tobytes(), digest_size=8)
    options = [_VERSION, data_config.resolution, data_config.crop, data_config.antialias]
    key.update(json.dumps(options).encode())
    return Path(os.path.expanduser(data_config.cache_folder)) / f"images_{key.hexdigest()}.npy"


def _open_file(path: Path, shape: _Shape) -> DiskImages | None:
    """The cache file; None if it is absent or damaged."""
    header = _header(shape)
    try:
        images = DiskImages(path, len(header), shape)
    except FileNotFoundError:
        return None
    size = len(header) + int(np.prod(shape))
    is_whole = os.fstat(images.file).st_size == size
    return images if is_whole and os.pread(images.file, len(header), 0) == header else None


def _write_file(
    images: EncodedImages,
    path: Path,
    shape: _Shape,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """Write the cache file.

    It starts at the first image that an interrupted process had not written. One process writes at
    a time; the others wait, and then find the file complete.
    """
    unfinished = path.with_suffix(".unfinished")
    with open(unfinished, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if _open_file(path, shape):
            unfinished.unlink(missing_ok=True)
            return
        row_bytes = int(np.prod(shape[1:]))
        header = _header(shape)
        done = max(0, os.fstat(file.fileno()).st_size - len(header)) // row_bytes
        _require_room(
            (len(images) - done) * row_bytes, _free_bytes(path.parent), "disk", path.parent
        )
        file.truncate(len(header) + done * row_bytes if done else 0)
        if not done:
            file.write(header)
        for _, rows in _iterate_pixels(images, done, on_progress):
            file.write(rows)
        file.flush()
        os.fsync(file.fileno())
        os.replace(unfinished, path)


def _header(shape: _Shape) -> bytes:
    """The first bytes of a .npy file of uint8."""
    header = io.BytesIO()
    description = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, description)
    return header.getvalue()


def _require_room(needed: int, available: int, kind: str, where: str | Path) -> None:
    if needed > available:
        raise UserError(
            f"data.cache: {kind} takes {needed / _GB:.1f} GB, more than the {available / _GB:.1f} "
            f"GB of {where}"
        )


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
