"""Image files that the user names, read as training reads its own. See `read_images`."""

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from config import UserError
from config.sections import DataConfig
from data.images import BadImageError, decode_or_refuse, resize, to_decodable, to_network_range
from data.sources.base import full_name, printable, read_file
from data.sources.folder import FolderSource

_LONGEST_STEM = 200  # bytes; file systems allow 255, and a number and an ending are added


def read_images(
    paths: Iterable[str | Path], data_config: DataConfig
) -> tuple[list[str], np.ndarray, list[str]]:
    """Read all images among files and folders, in order: (names, images, problems).

    A file may have any name; in a folder, only files named as images are read. The images are
    resized as `data_config` says: float32 (n, resolution, resolution, 3) in [-1, 1]. Each of
    `problems` is one line about a file or folder that is left out.
    """
    names, images, problems = [], [], []
    for path in map(Path, paths):
        try:
            files = _list_files(path)
        except UserError as error:
            problems.append(f"{error} (left out as a whole)")
            continue
        for name, read in files:
            try:
                images.append(read_image(read(), data_config))
                names.append(name)
            except BadImageError as error:
                problems.append(f"{name}: {error}")
    shape = (0, data_config.resolution, data_config.resolution, 3)
    return names, np.stack(images) if images else np.empty(shape, np.float32), problems


def read_image(content: bytes, data_config: DataConfig) -> np.ndarray:
    """Decode and resize a file's bytes: float32 (resolution, resolution, 3) in [-1, 1].

    Raises BadImageError.
    """
    decodable, _ = to_decodable(content)
    pixels = decode_or_refuse(decodable)
    resized = resize(pixels, data_config.resolution, data_config.crop, data_config.antialias)
    return to_network_range(resized.numpy())


def _list_files(path: Path) -> list[tuple[str, Callable[[], bytes]]]:
    """[(name for a message, function that returns the bytes)] of a file or a folder's images.

    Raises UserError for a folder without images, or with a subfolder that cannot be read.
    """
    if not os.path.isdir(path):
        return [(printable(str(path)), partial(read_file, path))]
    source = FolderSource(path)
    indices = range(len(source.names))
    return [(full_name(source, index), partial(source.read, index)) for index in indices]


def unique_stems(names: Iterable[str]) -> list[str]:
    """File names without folder and ending; equal ones get numbers: a, b, a_2."""
    stems, taken = [], set()
    for name in names:
        stem = os.fsencode(PurePosixPath(name).stem)[:_LONGEST_STEM].decode(errors="ignore")
        unique = stem
        number = 1
        while unique in taken:
            number += 1
            unique = f"{stem}_{number}"
        taken.add(unique)
        stems.append(unique)
    return stems
