"""Where images come from: `open_images` turns `data.source` into images that can be read."""

import os
import zipfile
from pathlib import Path

import numpy as np

from config import UserError, reason
from data.images import EXTENSIONS, SIGNATURE_SIZE, check_signature, decode, to_network_range

SPLITS = ("train", "test")
DIGITS_TEST_SIZE = 297
DIGITS_ORDER_SEED = 0


class DigitImages:
    """Scikit-learn's 1,797 handwritten digits, 8x8 grey, in a fixed shuffled order."""

    default_test_size = DIGITS_TEST_SIZE

    def __init__(self, resolution):
        from sklearn.datasets import load_digits  # slow to import, and needed for digits only

        digits = load_digits()
        order = np.random.RandomState(DIGITS_ORDER_SEED).permutation(len(digits.images))
        grey = digits.images[order][..., None] * (255.0 / 16.0)  # the digits have 17 grey levels
        self.images = to_network_range(np.repeat(grey, 3, axis=-1), resolution)
        self.labels = digits.target[order]

    def __len__(self):
        return len(self.images)

    def keep(self, chosen):
        self.images, self.labels = self.images[chosen], self.labels[chosen]

    def read(self, indices):
        return self.images[indices]

    def check(self):
        """Nothing can be wrong with them."""


class FileImages:
    """Image files by name; subclasses say how to get at their bytes."""

    def __init__(self, where, names, resolution):
        if not names:
            raise UserError(f"{where}: no image here (looked for {', '.join(EXTENSIONS)})")
        self.where = where
        self.names = sorted(names)
        self.resolution = resolution

    def __len__(self):
        return len(self.names)

    @property
    def default_test_size(self):
        return max(1, len(self) // 10)

    def keep(self, chosen):
        self.names = self.names[chosen]

    def read(self, indices):
        return np.stack([self._read_one(self.names[index]) for index in indices])

    def _read_one(self, name):
        content = self.read_bytes(name)
        return to_network_range(decode(content, f"{self.where}/{name}"), self.resolution)

    def check(self):
        """Look at how every file begins. Raises UserError for the first that is no image."""
        for name in self.names:
            check_signature(f"{self.where}/{name}", self.read_bytes(name, SIGNATURE_SIZE))


class FolderImages(FileImages):
    """The images in a folder and its subfolders."""

    def __init__(self, path, resolution):
        folder = Path(os.path.expanduser(path))
        if not folder.is_dir():
            raise UserError(f"data.source: no such folder: {path}")
        files = (file for file in folder.rglob("*") if _is_image_name(file.name))
        names = [file.relative_to(folder).as_posix() for file in files if file.is_file()]
        super().__init__(folder, names, resolution)

    def read_bytes(self, name, size=-1):
        try:
            with open(self.where / name, "rb") as file:
                return file.read(size)
        except OSError as error:
            raise UserError(f"{self.where}/{name}: {reason(error)}") from error


class ZipImages(FileImages):
    """The images in a zip file, read in place; nothing is extracted."""

    def __init__(self, path, resolution):
        file = Path(os.path.expanduser(path))
        if not file.is_file():
            raise UserError(f"data.source: no such zip file: {path}")
        try:
            self.archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError) as error:
            raise UserError(f"{path}: not a zip file that can be read: {reason(error)}") from error
        names = [
            name
            for name in self.archive.namelist()
            if _is_image_name(name.rsplit("/", 1)[-1]) and not name.startswith("__MACOSX/")
        ]
        super().__init__(file, names, resolution)

    def read_bytes(self, name, size=-1):
        try:
            with self.archive.open(name) as file:
                return file.read(size)
        except Exception as error:  # zipfile raises a different class for each kind of damage
            raise UserError(f"{self.where}/{name}: cannot be read: {reason(error)}") from error


def _is_image_name(name):
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def open_images(settings, split):
    """Open the "train" or "test" split of the images that `config.data` names.

    In the order of their names (digits: in a fixed shuffled order) the last `test_size` images are
    for testing, by default a tenth (digits: 297), and the first `train_size` for training, by
    default all others. With CelebA's 162,770 and 19,962 that is the official partition.

    Returns an object with `len`, `read(indices)` -> float32 (n, resolution, resolution, 3) in [-1,
    1] and `check()`. Raises UserError if there is nothing to read or less than was asked for.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}. Received: {split!r}")
    images = _open_source(settings)
    test_size = settings.test_size or images.default_test_size
    others = len(images) - test_size
    train_size = settings.train_size or others
    if others < 1 or train_size > others:
        raise UserError(
            f"data.train_size, data.test_size: {settings.source} has {len(images)} images, too few "
            f"for {settings.train_size or 'any'} to train and {test_size} to test"
        )
    images.keep(slice(train_size) if split == "train" else slice(others, None))
    return images


def _open_source(settings):
    kind, _, path = settings.source.partition(":")
    if kind == "digits":
        return DigitImages(settings.resolution)
    opener = {"folder": FolderImages, "zip": ZipImages}[kind]
    return opener(path, settings.resolution)
