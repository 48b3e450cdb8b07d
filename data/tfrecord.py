"""Images in TFRecord files, also those that TensorFlow Datasets prepares. See `open_tfrecord`.

A record is a tf.train.Example with the encoded image as its feature "image", the form that the
authors' later code wrote. Records are found by their offsets, so that any can be read at any time.
"""

import glob
import os
import struct

import numpy as np
import tensorflow as tf

from config import UserError, reason
from data.images import BadImageError, require_size
from data.sources import file_state

_HEADER = struct.Struct("<Q4x")  # length of the data, its checksum; data and checksum follow
_FOOTER_SIZE = 4
_GZIP = b"\x1f\x8b\x08"


class TFRecordSource:
    """The records of some files, in the order of the files.

    Their checksums are not looked at: what is damaged shows when it is decoded.
    """

    splits = where = None  # the names hold the path already

    def __init__(self, paths):
        self.paths = paths
        self.names, self.places = [], []
        for number, path in enumerate(paths):
            try:
                with open(path, "rb", buffering=0) as file:
                    places = list(_find_records(path, file.fileno()))
            except OSError as error:
                raise UserError(f"{path}: {reason(error)}") from error
            self.names += [f"{path}#{record}" for record in range(len(places))]
            self.places += [(number, *place) for place in places]
        if not self.names:
            raise UserError(f"{paths[0]}: no record in it and {len(paths) - 1} files more")

    def read(self, index):
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

    def listing(self):
        return [(path, *file_state(path)) for path in self.paths]


def _find_records(path, file):
    """(offset, length) of each record's data, without reading the data."""
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


def open_tfrecord(pattern):
    """The records of all files that match a pattern such as faces/train-*.tfrecord."""
    found = glob.glob(os.path.expanduser(pattern), recursive=True)
    paths = sorted(filter(os.path.isfile, found))
    if not paths:
        raise UserError(f"data.source: no file matches tfrecord:{pattern}")
    return TFRecordSource(paths)


def open_tfds(name):
    """A dataset of TensorFlow Datasets, with its splits; downloaded and prepared if it is not yet.

    Where there is no test split the validation split takes its place. Raises UserError if the
    package is absent or the dataset cannot be had.
    """
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise UserError(
            f"data.source: tfds:{name} takes a package more: "
            "pip install 'tensorflow-datasets>=4.9,<5' importlib_resources"
        ) from error
    try:
        builder = tensorflow_datasets.builder(name)
        builder.download_and_prepare()
        splits = builder.info.splits
        files = {split: [os.fspath(path) for path in splits[split].filepaths] for split in splits}
        file_format = builder.info.file_format.value
    except Exception as error:  # of the network, of the dataset's own code, of its name
        first_line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(
            f"data.source: tfds:{name} cannot be prepared: {first_line}; TFDS_DATA_DIR names the "
            "folder of one that is prepared already"
        ) from error
    if file_format != "tfrecord" or "train" not in files:
        raise UserError(
            f"data.source: tfds:{name}: takes a split named train in tfrecord files. Received: "
            f"{', '.join(files)} in {file_format} files"
        )
    test = next((split for split in ("test", "validation") if split in files), None)
    source = TFRecordSource(files["train"] + (files[test] if test else []))
    if test:
        of_test = np.array([number >= len(files["train"]) for number, _, _ in source.places])
        source.splits = {"train": np.flatnonzero(~of_test), "test": np.flatnonzero(of_test)}
    return source
