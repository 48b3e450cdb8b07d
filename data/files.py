"""Image files that a user names, read as the training reads its own. See `read_images`."""

import os
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import tensorflow as tf

from config import UserError
from data.images import BadImageError, decode, resize, to_decodable, to_network_range
from data.sources import FolderSource, full_name, printable, read_file

_LONGEST_STEM = 200  # bytes; file systems allow 255 with number and ending


def read_images(paths, settings):
    """All images among files and folders, in order: (names, images, problems).

    Files may have any name; in folders, those count that end as images do. `settings` is
    config.data, which says how images are resized. Images are float32 (n, resolution, resolution,
    3) in [-1, 1]; each of `problems` is one line about what is left out.
    """
    names, images, problems = [], [], []
    for path in map(Path, paths):
        try:
            files = _files(path)
        except UserError as error:
            problems.append(f"{error} (left out as a whole)")
            continue
        for name, read in files:
            try:
                images.append(read_image(read(), settings))
                names.append(name)
            except BadImageError as error:
                problems.append(f"{name}: {error}")
    shape = (0, settings.resolution, settings.resolution, 3)
    return names, np.stack(images) if images else np.empty(shape, np.float32), problems


def read_image(content, settings):
    """One of these images, of a file's bytes. Raises BadImageError."""
    decodable, _ = to_decodable(content)
    try:
        pixels = decode(decodable)
    except tf.errors.InvalidArgumentError as error:  # what its decoders say does not help
        raise BadImageError("truncated or damaged") from error
    resized = resize(pixels, settings.resolution, settings.crop, settings.antialias)
    return to_network_range(resized.numpy())


def _files(path):
    """[(name for a message, function that returns the bytes)] of a file, or of those in a folder.

    Raises UserError for a folder without images, or with one in it that cannot be read.
    """
    if not os.path.isdir(path):
        return [(printable(str(path)), lambda: read_file(path))]
    source = FolderSource(path)
    indices = range(len(source.names))
    return [(full_name(source, index), partial(source.read, index)) for index in indices]


def unique_stems(names):
    """File names without folder and ending, told apart by numbers: a, b, a_2."""
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
