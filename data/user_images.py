"""Image files that the user names, read as training reads its own. See `read_images`."""

import os
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from config import UserError
from config.sections import DataConfig
from data.images import BadImageError, decode_file, resize, to_network_range
from data.sources.base import full_name, printable, read_file
from data.sources.folder import FolderSource

_LONGEST_STEM = 200  # bytes; file systems allow 255, and a number and an ending are added


def read_images(
    paths: Iterable[str | Path], data_config: DataConfig
) -> tuple[list[str], np.ndarray, list[str]]:
    """Read all images among files and folders, in order: (names, images, problems).

    A file may have any name; in a folder, only files named as images are read. The images are
    resized as `data_config` says: float32 (n, resolution, resolution, 3) in [-1, 1]. Each of
    `problems` is one line about a file or folder that is left out. Warns of unusual images.
    """
    names, images, problems = [], [], []
    for path in map(Path, paths):
        try:
            files, unread_folders = _list_files(path)
        except UserError as error:
            problems.append(f"{error} (left out as a whole)")
            continue
        problems += unread_folders
        for name, read in files:
            try:
                image, remark = read_image(read(), data_config)
                images.append(image)
                names.append(name)
                if remark:
                    warnings.warn(f"{name}: {remark}", stacklevel=2)
            except BadImageError as error:
                problems.append(f"{name}: {error}")
    shape = (0, data_config.resolution, data_config.resolution, 3)
    return names, np.stack(images) if images else np.empty(shape, np.float32), problems


def read_image(content: bytes, data_config: DataConfig) -> tuple[np.ndarray, str]:
    """Decode and resize a file's bytes: (image, what is unusual about it or "").

    The image is float32 (resolution, resolution, 3) in [-1, 1]. Raises BadImageError.
    """
    pixels, remark = decode_file(content)
    resized = resize(pixels, data_config.resolution, data_config.crop, data_config.antialias)
    return to_network_range(resized.numpy()), printable(remark)


def _list_files(path: Path) -> tuple[list[tuple[str, Callable[[], bytes]]], list[str]]:
    """([(name for a message, function that returns the bytes)], lines about unread subfolders).

    Of one file, or a folder's images. Raises UserError for a folder without images.
    """
    if not os.path.isdir(path):
        return [(printable(str(path)), partial(read_file, path))], []
    source = FolderSource(path)
    indices = range(len(source.names))
    files = [(full_name(source, index), partial(source.read, index)) for index in indices]
    return files, source.passed_over.folders


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
