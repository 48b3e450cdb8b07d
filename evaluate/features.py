"""Feature networks for the Fréchet distance: images -> features (n, width). See `load_features`."""

import hashlib
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from config import UserError
from evaluate import digit_classifier

INCEPTION_SIZE = 299
INCEPTION_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
    "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
)


class FeatureNetwork:
    """Call with images (batch, height, width, 3) in [-1, 1] for features (batch, width), float32.

    `label` says in plots and rows what the features are, `protocol` how exactly they were made.
    """

    def __init__(self, network, size, label):
        self.network = network
        self.size = size
        self.label = label
        self.protocol = {
            "features": label,
            "features_sha256": _weights_digest(network),
            "resize": f"bilinear without antialiasing to {size}x{size}",
        }
        self._extract = tf.function(
            lambda images: network(tf.image.resize(images, (size, size)), training=False)
        )

    def __call__(self, images):
        return self._extract(images).numpy()


def load_features(name, cache_folder):
    """The feature network that `evaluate.features` names, or None for "none".

    Raises UserError if InceptionV3's weights can be neither downloaded nor read.
    """
    if name == "none":
        return None
    if name == "digits":
        classifier = digit_classifier.load_digit_classifier(cache_folder)
        features = classifier.get_layer(digit_classifier.FEATURES_LAYER).output
        network = keras.Model(classifier.inputs, features)
        return FeatureNetwork(network, digit_classifier.SIZE, "digit-classifier features")
    _, _, path = name.partition(":")
    label = (
        f"InceptionV3 features, weights from {Path(path).name}" if path else "InceptionV3 features"
    )
    return FeatureNetwork(_inception(path), INCEPTION_SIZE, label)


def _inception(path):
    """Keras' InceptionV3, average-pooled: 2048 features. Weights of ImageNet or a file."""
    if path and not Path(path).is_file():
        raise UserError(f"evaluate.features: no such weight file: {path}")
    try:
        return keras.applications.InceptionV3(
            include_top=False, weights=path or "imagenet", pooling="avg"
        )
    except Exception as error:  # urllib, h5py and Keras each raise their own
        if path:
            raise UserError(
                f"evaluate.features: {path} does not hold InceptionV3's weights without top"
            ) from error
        raise UserError(
            "evaluate.features: InceptionV3's weights could not be downloaded; save "
            f"{INCEPTION_URL} and set evaluate.features to inception_v3:PATH.h5, or to none"
        ) from error


def _weights_digest(network):
    digest = hashlib.sha256()
    for weights in network.get_weights():
        digest.update(np.ascontiguousarray(weights))
    return digest.hexdigest()[:16]
