"""The images of one split: encoded in files, or as an array in memory or on disk. See `Images`."""

import contextlib
import os
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf

from config import UserError, reason
from config.sections import DataConfig
from data.images import (
    BadImageError,
    decode,
    decode_or_refuse,
    resize,
    to_decodable,
    to_network_range,
    to_uint8,
)
from data.inventory import Inventory, content_digest
from data.notices import list_notices
from data.sources.base import Source, full_name

_FILES_PER_CALL = 32  # TensorFlow's calls of Python are slow: each one reads several files


class Images(Protocol):
    """The images of one split in a fixed order; the classes of this module are such."""

    def __len__(self) -> int:
        """The number of images."""

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Some images: float32 (n, resolution, resolution, 3) in [-1, 1]."""

    def to_batches(
        self, order: np.ndarray, batch_size: int, parallel_reads: int
    ) -> tf.data.Dataset:
        """The images of `order`, (n,), in float32 batches; the last may be smaller."""

    def check(self, indices: Sequence[int] | np.ndarray) -> None:
        """Raise a UserError that names the first of these images that cannot be read."""


class EncodedImages:
    """Images of a source, decoded and resized whenever they are read.

    `indices`, (n,), says which images of the source; `notices` are lines about what else is in it.
    """

    def __init__(
        self, data_config: DataConfig, source: Source, inventory: Inventory, indices: np.ndarray
    ) -> None:
        self.data_config = data_config
        self.source = source
        self.plain = inventory.plain[indices]
        self.digests = inventory.digests[indices]
        self.indices = indices
        self.notices = list_notices(source, inventory)

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def names(self) -> list[str]:
        return [self.source.names[index] for index in self.indices]

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        batches = self.to_batches(np.asarray(indices), len(indices), parallel_reads=1)
        return next(iter(batches)).numpy()

    def read_one(self, index: int) -> np.ndarray:
        """An image as `read` gives it, without tf.data, whose threads may wait for this one.

        Raises UserError if its file cannot be read or has changed since the inventory.
        """
        self.check([index])
        if np.any(content_digest(self._content(index)) != self.digests[index]):
            name = full_name(self.source, self.indices[index])
            raise UserError(f"{name}: has changed since the training began")
        with tf.device("CPU"):
            return to_network_range(self._to_image(self._read_decodable(index))).numpy()

    def to_batches(
        self, order: np.ndarray, batch_size: int, parallel_reads: int
    ) -> tf.data.Dataset:
        """As `Images.to_batches`; `parallel_reads` groups of files are read at the same time."""
        indices = tf.data.Dataset.from_tensor_slices(order).batch(_FILES_PER_CALL)
        contents = indices.map(self._read_contents, parallel_reads, deterministic=True).unbatch()
        images = contents.map(self._to_image, 2 * parallel_reads, deterministic=True)
        return images.batch(batch_size).map(to_network_range)

    def check(self, indices: Sequence[int] | np.ndarray) -> None:
        for index in indices:
            try:
                decode_or_refuse(to_decodable(self._content(index)).content)
            except BadImageError as error:
                name = full_name(self.source, self.indices[index])
                raise UserError(f"{name}: {error}") from error

    def _content(self, index: int) -> bytes:
        return self.source.read(self.indices[index])

    def _read_contents(self, indices: tf.Tensor) -> tf.Tensor:
        """The decodable bytes of these images: strings (n,)."""

        def read(indices: np.ndarray) -> np.ndarray:
            return np.array([self._read_decodable(index) for index in indices], dtype=object)

        return tf.ensure_shape(tf.numpy_function(read, [indices], tf.string), [None])

    def _read_decodable(self, index: int) -> bytes:
        content = self._content(index)
        return content if self.plain[index] else to_decodable(content).content

    def _to_image(self, content: tf.Tensor) -> tf.Tensor:
        size = self.data_config.resolution
        image = resize(decode(content), size, self.data_config.crop, self.data_config.antialias)
        return tf.ensure_shape(image, (size, size, 3))


class _DecodedImages:
    """What images that need no decoding share; subclasses define `__len__` and `read`."""

    def to_batches(
        self, order: np.ndarray, batch_size: int, parallel_reads: int
    ) -> tf.data.Dataset:
        """As `Images.to_batches`; `parallel_reads` batches are read at the same time."""
        shape = (None, *self.read(order[:1]).shape[1:])

        def read(indices: tf.Tensor) -> tf.Tensor:
            return tf.ensure_shape(tf.numpy_function(self.read, [indices], tf.float32), shape)

        indices = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
        return indices.map(read, parallel_reads, deterministic=True)

    def check(self, indices: Sequence[int] | np.ndarray) -> None:
        """Images in memory can always be read."""


class ArrayImages(_DecodedImages):
    """Images in memory: `pixels` is float32 (n, resolution, resolution, 3) in [-1, 1]."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        return self.pixels[indices]


class MemoryImages(ArrayImages):
    """Images in memory: `pixels` is uint8 (n, resolution, resolution, 3)."""

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        return to_network_range(self.pixels[indices])


class DiskImages(_DecodedImages):
    """Images in a .npy file: records of `record_type`, from byte `offset` on.

    Each record is checked whenever it is read. A damaged one is made again from its image
    in `originals` and written back, with a warning. The file is read and not mapped into memory,
    where it would count as memory of the process.
    """

    def __init__(self, path: Path, offset: int, originals: EncodedImages) -> None:
        self.path = path
        self.file = os.open(path, os.O_RDONLY)
        self.offset = offset
        self.originals = originals
        self.record_type = record_type(originals.data_config.resolution)

    def __len__(self) -> int:
        return len(self.originals)

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        records = np.zeros(len(indices), self.record_type)  # a short read leaves no valid one
        for number, index in enumerate(indices):
            record = records[number : number + 1]
            place = self.offset + int(index) * record.nbytes
            os.preadv(self.file, [record.view(np.uint8)], place)
            if record["checksum"] != zlib.crc32(record["pixels"]):
                record[:] = self._restore(index, place)
        return to_network_range(records["pixels"])

    def _restore(self, index: int, place: int) -> np.ndarray:
        """The record of a damaged image; it is written back if the file can be written."""
        warnings.warn(f"{self.path} is damaged; its damaged images are made again", stacklevel=2)
        record = to_records(to_uint8(self.originals.read_one(index)[None]))
        with contextlib.suppress(OSError), open(self.path, "r+b") as file:
            os.pwrite(file.fileno(), record, place)
        return record

    def check(self, indices: Sequence[int] | np.ndarray) -> None:
        for index in indices:
            try:
                self.read([index])
            except OSError as error:
                raise UserError(f"{self.path}: {reason(error)}") from error


def record_type(resolution: int) -> np.dtype:
    """What `DiskImages` keeps of an image: its pixels and their CRC-32."""
    return np.dtype([("pixels", np.uint8, (resolution, resolution, 3)), ("checksum", "<u4")])


def to_records(pixels: np.ndarray) -> np.ndarray:
    """The records (n,) of uint8 images (n, resolution, resolution, 3)."""
    records = np.empty(len(pixels), record_type(pixels.shape[1]))
    records["pixels"] = pixels
    records["checksum"] = [zlib.crc32(image) for image in pixels]
    return records
