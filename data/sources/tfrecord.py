"""Images in TFRecord files. See `open_tfrecord` and, for TensorFlow Datasets, `open_tfds`.

A record is a tf.train.Example with the encoded image as its feature "image", the form that the
authors' later code wrote. The offset of every record is found first, so that records can be read
in any order.
"""

import glob
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from config import UserError, first_line, reason
from data.images import BadImageError, require_size
from data.sources.base import PassedOver, Source, Splits, file_state

_HEADER = struct.Struct("<Q4x")  # length of the data, its checksum; data and checksum follow
_FOOTER_SIZE = 4
_GZIP = b"\x1f\x8b\x08"


class TFRecordSource:
    """The records of files, in the order of the files: first `paths`, then `test_paths`.

    With `test_paths`, `splits` puts the records of `paths` into the training split and the records
    of `test_paths` into the test split. Checksums are ignored: decoding finds damaged images.
    Raises UserError if a file cannot be read or there is no record.
    """

    where: Path | None = None  # the names hold the path already

    def __init__(self, paths: Sequence[str], test_paths: Sequence[str] | None = None) -> None:
        self.paths = [*paths, *(test_paths or ())]
        self.passed_over = PassedOver()
        self.names: list[str] = []
        self.places: list[tuple[int, int, int]] = []  # number of the file, offset, length
        for number, path in enumerate(self.paths):
            try:
                with open(path, "rb", buffering=0) as file:
                    places = list(_find_records(path, file.fileno()))
            except OSError as error:
                raise UserError(f"{path}: {reason(error)}") from error
            self.names += [f"{path}#{record}" for record in range(len(places))]
            self.places += [(number, *place) for place in places]
        if not self.names:
            others = len(self.paths) - 1
            raise UserError(f"{self.paths[0]}: no record in this file and {others} others")
        self.splits = None if test_paths is None else self._split_at_file(len(paths))

    def _split_at_file(self, first_test_file: int) -> Splits:
        is_test = np.array([number >= first_test_file for number, _, _ in self.places])
        return {"train": np.flatnonzero(~is_test), "test": np.flatnonzero(is_test)}

    def read(self, index: int) -> bytes:
        """The encoded image of a record. Raises BadImageError."""
        number, offset, length = self.places[index]
        require_size(length)
        try:
            with open(self.paths[number], "rb", buffering=0) as file:
                record = os.pread(file.fileno(), length, offset)
            features = tf.train.Example.FromString(record).features.feature
        except Exception as error:  # protobuf's errors have no common class
            raise BadImageError(f"cannot be read: {reason(error)}") from error
        values = features["image"].bytes_list.value if "image" in features else []
        if len(values) != 1:
            raise BadImageError(
                f'no encoded image as feature "image"; there is {", ".join(sorted(features))}'
            )
        return values[0]

    def listing(self) -> list[tuple[Any, ...]]:
        """The path, size and times of every file."""
        return [(path, *file_state(path)) for path in self.paths]


def _find_records(path: str, file: int) -> Iterator[tuple[int, int]]:
    """(offset, length) of each record's data, without reading the data; `file` is a descriptor."""
    size, offset = os.fstat(file).st_size, 0
    while offset < size:
        header = os.pread(file, _HEADER.size, offset)
        start = offset + _HEADER.size
        length = _HEADER.unpack(header)[0] if len(header) == _HEADER.size else size
        offset = start + length + _FOOTER_SIZE
        if offset > size:
            is_packed = os.pread(file, len(_GZIP), 0) == _GZIP
            hint = "; a gzip file must be unpacked first" if is_packed else ""
            raise UserError(f"{path}: truncated, or no TFRecord file{hint}")
        yield start, length


def open_tfrecord(pattern: str) -> Source:
    """The records of all files that match a pattern such as faces/train-*.tfrecord."""
    found = glob.glob(os.path.expanduser(pattern), recursive=True)
    paths = sorted(filter(os.path.isfile, found))
    if not paths:
        raise UserError(f"data.source: no file matches tfrecord:{pattern}")
    return TFRecordSource(paths)


def open_tfds(name: str) -> Source:
    """A dataset of TensorFlow Datasets, with its splits; the first call downloads and prepares it.

    A dataset without a test split is tested on its validation split. Raises UserError if the
    package is absent, or the dataset cannot be prepared or has another form.
    """
    files, file_format = _prepare_dataset(name)
    if file_format != "tfrecord" or "train" not in files:
        raise UserError(
            f"data.source: tfds:{name}: takes a split named train in tfrecord files. Received: "
            f"{', '.join(files)} in {file_format} files"
        )
    test = next((split for split in ("test", "validation") if split in files), None)
    return TFRecordSource(files["train"], files[test] if test else None)


def _prepare_dataset(name: str) -> tuple[dict[str, list[str]], str]:
    """({split: paths of its files}, format of the files)."""
    try:
        import tensorflow_datasets  # optional
    except ImportError as error:
        raise UserError(
            f"data.source: tfds:{name} needs one more package: "
            "pip install 'tensorflow-datasets>=4.9,<5' importlib_resources"
        ) from error
    try:
        builder = tensorflow_datasets.builder(name)
        builder.download_and_prepare()
        splits = builder.info.splits
        files = {split: [os.fspath(path) for path in splits[split].filepaths] for split in splits}
        return files, builder.info.file_format.value
    except Exception as error:  # from the network, the dataset's own code or its name
        raise UserError(
            f"data.source: tfds:{name} cannot be prepared: {first_line(error)}; TFDS_DATA_DIR "
            "names the folder of a dataset that is prepared already"
        ) from error
