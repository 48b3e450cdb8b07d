"""Where image files come from. See `open_source`; `data.sources.base.Source` is what it returns."""

from config.sections import DataConfig
from data.sources.base import Source
from data.sources.celeba import open_celeba
from data.sources.folder import FolderSource
from data.sources.tfrecord import open_tfds, open_tfrecord
from data.sources.zip_file import ZipSource

_OPENERS = {
    "folder": FolderSource,
    "zip": ZipSource,
    "tfrecord": open_tfrecord,
    "tfds": open_tfds,
}


def open_source(data_config: DataConfig) -> Source:
    """The source that `data.source` names. Raises UserError if it is absent or holds no image."""
    kind, _, path = data_config.source.partition(":")
    if kind == "celeba":
        return open_celeba(path, needs_partition=data_config.split is None)
    return _OPENERS[kind](path)
