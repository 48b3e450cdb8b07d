"""The digit classifier as a file, trained where it is missing. See `load_digit_classifier`.

This module imports TensorFlow in functions alone: a process that does without it can ask for the
training.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from config import UserError
from data.storage import write_whole
from train.runtime import processes
from train.runtime.processes import FaultError
from train.runtime.startup import import_libraries

if TYPE_CHECKING:
    import keras

FILE_NAME = "digit_classifier.keras"
_THREADS = 2  # the weights' last bits depend on the number of threads


def require_digit_classifier(folder: Path) -> None:
    """Train the classifier if it is missing in `folder`. Raises UserError if that fails."""
    path = Path(folder) / FILE_NAME
    if not path.exists():
        _train(path)


def load_digit_classifier(folder: str | Path) -> keras.Model:
    """The trained classifier, read from `folder`.

    If it is missing there or, with a warning, damaged, a new one is trained and written there.
    Raises UserError if that fails.

    The classifier's input: images (batch, 16, 16, 3) in [-1, 1]. Its output: probabilities
    (batch, 10).
    """
    path = Path(folder) / FILE_NAME
    classifier = _read(path)
    if classifier is None:
        _train(path)
        classifier = _read(path)
    return classifier


def _read(path: Path) -> keras.Model | None:
    """The classifier in a file; None if the file is absent or, with a warning, damaged."""
    import keras

    if not path.exists():
        return None
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception:  # Keras, zipfile and h5py raise many classes for a damaged file
        warnings.warn(f"{path} is damaged; the classifier is trained again", stacklevel=3)
        return None


def _train(path: Path) -> None:
    """Train in a process of its own, so that every computer gets the same weights."""

    def train_apart(unfinished: Path) -> None:
        processes.call("its training", _train_here, unfinished.absolute())

    try:
        write_whole(path, train_apart)
    except FaultError as error:
        reason = str(error).splitlines()[-1]
        raise UserError(f"the digit classifier cannot be trained: {reason}") from error


def _train_here(path: Path) -> Path:
    import_libraries()
    import tensorflow as tf

    from evaluate.features.digit_classifier import train_and_save

    tf.config.threading.set_intra_op_parallelism_threads(_THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(_THREADS)
    tf.config.set_visible_devices([], "GPU")  # a GPU gives other weights
    train_and_save(path)
    return path
