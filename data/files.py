"""Image files that a user names, read as the training reads its own. See `read_images`."""

from pathlib import Path, PurePosixPath

import numpy as np

from data.images import BadImageError, decode, resize, to_decodable, to_network_range
from data.sources import FolderSource, full_name, printable, read_file


def read_images(paths, settings):
    """All images among files and folders, in order: (names, images, problems).

    Files may have any name; in folders, those count that end as images do. `settings` is
    config.data, which says how images are resized. Images are float32 (n, resolution, resolution,
    3) in [-1, 1]; each of `problems` is one line about a file that is left out. Raises UserError
    for a folder without images.
    """
    names, images, problems = [], [], []
    for name, read in _files(paths):
        try:
            image = read_image(read(), settings)
        except BadImageError as error:
            problems.append(f"{name}: {error}")
        else:
            names.append(name)
            images.append(image)
    shape = (0, settings.resolution, settings.resolution, 3)
    return names, np.stack(images) if images else np.empty(shape, np.float32), problems


def read_image(content, settings):
    """One of these images, of a file's bytes. Raises BadImageError."""
    try:
        decodable, _ = to_decodable(content)
        pixels = decode(decodable)
        resized = resize(pixels, settings.resolution, settings.crop, settings.antialias)
    except BadImageError:
        raise
    except Exception as error:  # what TensorFlow's decoders say does not help
        raise BadImageError("truncated or damaged") from error
    return to_network_range(resized.numpy())


def _files(paths):
    """Yield (name for a message, function that returns the bytes)."""
    for path in map(Path, paths):
        if path.is_dir():
            source = FolderSource(path)
            for index in range(len(source.names)):
                yield full_name(source, index), lambda s=source, i=index: s.read(i)
        else:
            yield printable(str(path)), lambda p=path: read_file(p)


def unique_stems(names):
    """File names without folder and ending, told apart by numbers: a, b, a_2."""
    stems, taken = [], set()
    for name in names:
        stem = unique = PurePosixPath(name).stem
        number = 1
        while unique in taken:
            number += 1
            unique = f"{stem}_{number}"
        taken.add(unique)
        stems.append(unique)
    return stems
