"""A small classifier of the embedded digits, whose features replace InceptionV3's offline.

It is trained once, in seconds, on the labels of the digits. See `train_and_save`, and
`evaluate.features.classifier_file` for where it is kept.
"""

from pathlib import Path

import keras
import numpy as np

from data.digits import DIGITS_TEST_SIZE, DigitImages

SIZE = 16
FEATURES_LAYER = "features"
LEAST_ACCURACY = 0.97
_SEED = 0


def train_and_save(path: Path) -> None:
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
        optimizer=keras.optimizers.Adam(0.002),
        loss="sparse_categorical_crossentropy",
        steps_per_execution=30,  # an epoch
    )
    train = slice(len(digits) - DIGITS_TEST_SIZE)
    classifier.fit(digits.pixels[train], digits.labels[train], batch_size=50, epochs=15, verbose=0)
    return classifier


def held_out_accuracy(classifier: keras.Model, digits: DigitImages) -> float:
    """Share of the last 297 digits, never trained on, that the classifier gets right."""
    held_out = slice(len(digits) - DIGITS_TEST_SIZE, None)
    probabilities = classifier(digits.pixels[held_out], training=False).numpy()
    return float(np.mean(probabilities.argmax(axis=1) == digits.labels[held_out]))
