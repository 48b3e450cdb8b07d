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
from data.stored import DiskImages, EncodedImages, Images, MemoryImages, record_type, to_records

_VERSION = 1  # of decoding and resizing: another version makes other cache files
_BATCH_SIZE = 64
_GB = 1e9


def cached(
    images: EncodedImages,
    data_config: DataConfig,
    on_progress: Callable[[int, int], None] | None = None,
) -> Images:
    """The same images, kept as `data.cache` says. Calls `on_progress(done, total)` on the way.

    "none": not kept. "memory" and "disk": kept in 8 bits, so rounded by up to half a grey level.
    The file on disk serves all runs; its name comes from the content of the images and the options.
    It is written once, and an interrupted writing is continued. With a warning, it is written again
    if its header or its size is wrong; `DiskImages` repairs damaged images. Raises UserError if the
    images do not fit.
    """
    if data_config.cache == "none":
        return images
    if data_config.cache == "memory":
        return _keep_in_memory(images, data_config, on_progress)
    return _keep_on_disk(images, data_config, on_progress)


def require_memory(data_config: DataConfig, count: int) -> None:
    """Raise UserError if the machine's memory cannot hold `count` images."""
    _require_room(count * data_config.resolution**2 * 3, _memory_bytes(), "memory", "this machine")


def _keep_in_memory(
    images: EncodedImages, data_config: DataConfig, on_progress: Callable[[int, int], None] | None
) -> MemoryImages:
    require_memory(data_config, len(images))
    pixels = np.empty((len(images), data_config.resolution, data_config.resolution, 3), np.uint8)
    for start, rows in _iterate_pixels(images, 0, on_progress):
        pixels[start : start + len(rows)] = rows
    return MemoryImages(pixels)


def _keep_on_disk(
    images: EncodedImages, data_config: DataConfig, on_progress: Callable[[int, int], None] | None
) -> DiskImages:
    path = _cache_path(images, data_config)
    try:
        kept = _open_file(path, images)
        if kept is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_file(images, path, on_progress)
            kept = _open_file(path, images)
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


def _open_file(path: Path, images: EncodedImages) -> DiskImages | None:
    """The cache file of the images; None if it is absent, or its header or size is wrong."""
    header = _header(images)
    try:
        kept = DiskImages(path, len(header), images)
    except FileNotFoundError:
        return None
    size = len(header) + len(images) * kept.record_type.itemsize
    is_whole = os.fstat(kept.file).st_size == size
    return kept if is_whole and os.pread(kept.file, len(header), 0) == header else None


def _write_file(
    images: EncodedImages, path: Path, on_progress: Callable[[int, int], None] | None
) -> None:
    """Write the cache file.

    It starts at the first image that an interrupted process had not written. One process writes at
    a time; the others wait, and then find the file complete.
    """
    unfinished = path.with_suffix(".unfinished")
    with open(unfinished, "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if _open_file(path, images):
            unfinished.unlink(missing_ok=True)
            return
        if path.exists():
            warnings.warn(f"{path} is damaged or outdated; it is made again", stacklevel=2)
            path.unlink()  # there may be no room for both
        header = _header(images)
        image_bytes = record_type(images.data_config.resolution).itemsize
        is_begun = os.pread(file.fileno(), len(header), 0) == header
        done = (os.fstat(file.fileno()).st_size - len(header)) // image_bytes if is_begun else 0
        _require_room(
            (len(images) - done) * image_bytes, _free_bytes(path.parent), "disk", path.parent
        )
        file.truncate(len(header) + done * image_bytes if is_begun else 0)
        if not is_begun:
            file.write(header)
        for _, pixels in _iterate_pixels(images, done, on_progress):
            file.write(to_records(pixels))
        file.flush()
        os.fsync(file.fileno())
        os.replace(unfinished, path)


def _header(images: EncodedImages) -> bytes:
    """The first bytes of a .npy file of the images' records."""
    header = io.BytesIO()
    records = np.lib.format.dtype_to_descr(record_type(images.data_config.resolution))
    description = {"descr": records, "fortran_order": False, "shape": (len(images),)}
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
