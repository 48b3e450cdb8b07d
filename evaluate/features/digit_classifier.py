"""A small classifier of the embedded digits, whose features replace InceptionV3's offline.

It is trained once, in seconds, on the labels of the digits. See `load_digit_classifier`.
"""

from pathlib import Path

import keras
import numpy as np

from data.digits import DIGITS_TEST_SIZE, DigitImages
from data.storage import write_whole

SIZE = 16
FEATURES_LAYER = "features"
LEAST_ACCURACY = 0.97
FILE_NAME = "digit_classifier.keras"
_SEED = 0


def load_digit_classifier(folder: str | Path) -> keras.Model:
    """The trained classifier, read from `folder`.

    If it is missing there, cannot be read or is less than 97 % right on held-out digits, a new one
    is trained and written there. Raises RuntimeError if the new one is not right enough either.

    The classifier's input: images (batch, 16, 16, 3) in [-1, 1]. Its output: probabilities
    (batch, 10).
    """
    digits = DigitImages(SIZE)
    path = Path(folder) / FILE_NAME
    classifier = _read(path)
    if classifier is None or held_out_accuracy(classifier, digits) < LEAST_ACCURACY:
        classifier = train_digit_classifier(digits)
        accuracy = held_out_accuracy(classifier, digits)
        if accuracy < LEAST_ACCURACY:
            raise RuntimeError(
                f"the digit classifier reached {accuracy:.1%} on held-out digits only"
            )
        write_whole(path, classifier.save)
    return classifier


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
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, KeyError):  # missing or damaged: trained again in both cases
        return None
