"""A small classifier of the embedded digits, whose features stand in for InceptionV3's offline.

Trained once, in seconds, on the digits' own labels. See `load_digit_classifier`.
"""

from pathlib import Path

import keras
import numpy as np

from data.digits import DIGITS_TEST_SIZE, DigitImages
from evaluate.files import write_whole

SIZE = 16
FEATURES_LAYER = "features"
LEAST_ACCURACY = 0.97
FILE_NAME = "digit_classifier.keras"
_SEED = 0


def load_digit_classifier(folder):
    """The trained classifier: input images (batch, 16, 16, 3) in [-1, 1], output 10 probabilities.

    Read from `folder`, or trained and kept there if it is not there, cannot be read or misses the
    accuracy. Raises RuntimeError if a newly trained one does not reach 97 % on held-out digits.
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


def train_digit_classifier(digits):
    """Train on all but the last 297 digits; the seed is fixed."""
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


def held_out_accuracy(classifier, digits):
    """Share of the last 297 digits, never trained on, that are classified correctly."""
    held_out = slice(len(digits) - DIGITS_TEST_SIZE, None)
    probabilities = classifier(digits.pixels[held_out], training=False).numpy()
    return float(np.mean(probabilities.argmax(axis=1) == digits.labels[held_out]))


def _read(path):
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, KeyError):  # absent or damaged: either way it is trained again
        return None
