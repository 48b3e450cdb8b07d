"""A small classifier of the embedded digits, whose features replace InceptionV3's offline.

It is trained once, in seconds, on the labels of the digits. See `load_digit_classifier`.
"""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np

from config import UserError
from data.digits import DIGITS_TEST_SIZE, DigitImages
from data.storage import write_whole

SIZE = 16
FEATURES_LAYER = "features"
LEAST_ACCURACY = 0.97
FILE_NAME = "digit_classifier.keras"
_SEED = 0
_PROJECT = Path(__file__).parents[2]
# The weights' last bits depend on the number of threads; a GPU gives others.
_DEVICE = {
    "TF_NUM_INTRAOP_THREADS": "2",
    "TF_NUM_INTEROP_THREADS": "2",
    "CUDA_VISIBLE_DEVICES": "-1",
}


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
        write_whole(path, _train_apart)
        classifier = keras.saving.load_model(path, compile=False)
    return classifier


def _train_apart(path: Path) -> None:
    """Train in a process of its own, so that every number of cores gives the same weights."""
    command = [sys.executable, "-m", __name__, str(path.absolute())]
    ended = subprocess.run(
        command, cwd=_PROJECT, env=os.environ | _DEVICE, capture_output=True, text=True
    )
    if ended.returncode:
        last_line = (ended.stderr.splitlines() or [f"exit code {ended.returncode}"])[-1]
        raise UserError(f"the digit classifier cannot be trained: {last_line}")


def train_and_save(path: str | Path) -> None:
    """Train and save the classifier. Raises RuntimeError if it is right on less than 97 %."""
    digits = DigitImages(SIZE)
    classifier = train_digit_classifier(digits)
    accuracy = held_out_accuracy(classifier, digits)
    if accuracy < LEAST_ACCURACY:
        raise RuntimeError(f"the digit classifier reached {accuracy:.1%} on held-out digits only")
    classifier.save(path)


def train_digit_classifier(digits: DigitImages) -> keras.Model:
    """Train on all but the last 297 digits, with a fixed seed."""
    keras.utils.set_random_seed(_SEED)
    layers = keras.layers
    classifier = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu", name=FEATURES_LAYER),
            layers.Dense(10, activation="softmax"),
        ]
    )
    classifier.compile(
        optimizer=keras.optimizers.Adam(0.002), loss="sparse_categorical_crossentropy"
    )
    train = slice(len(digits) - DIGITS_TEST_SIZE)
    classifier.fit(digits.pixels[train], digits.labels[train], batch_size=50, epochs=15, verbose=0)
    return classifier


def held_out_accuracy(classifier: keras.Model, digits: DigitImages) -> float:
    """Share of the last 297 digits, never trained on, that the classifier gets right."""
    held_out = slice(len(digits) - DIGITS_TEST_SIZE, None)
    probabilities = classifier(digits.pixels[held_out], training=False).numpy()
    return float(np.mean(probabilities.argmax(axis=1) == digits.labels[held_out]))


def _read(path: Path) -> keras.Model | None:
    """The classifier in a file; None if the file is absent or, with a warning, damaged."""
    if not path.exists():
        return None
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception:  # Keras, zipfile and h5py raise many classes for a damaged file
        warnings.warn(f"{path} is damaged; the classifier is trained again", stacklevel=3)
        return None


if __name__ == "__main__":
    train_and_save(sys.argv[1])
