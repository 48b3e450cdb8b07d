"""Feature networks for the Fréchet distance: images -> features (n, width). See `load_features`."""

import hashlib
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from config import UserError
from evaluate import digit_classifier
from evaluate.checks import check_images

INCEPTION_SIZE = (299, 299)
INCEPTION_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
    "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
)


class FeatureNetwork:
    """Call with images (batch, height, width, 3) in [-1, 1] for features (batch, ...), float32.

    `size` is the height and width that images are resized to, None for as they are. `label` says in
    plots and rows what the features are, `protocol` how exactly they were made. Raises ValueError
    for images out of range.
    """

    def __init__(self, network, size, label):
        self.label = label
        resize = f"bilinear without antialiasing to {size[0]}x{size[1]}" if size else "none"
        self.protocol = {
            "features": label,
            "features_sha256": _weights_digest(network),
            "resize": resize,
        }

        @tf.function(reduce_retracing=True)
        def extract(images):
            return network(tf.image.resize(images, size) if size else images, training=False)

        self._extract = extract

    def __call__(self, images):
        check_images(images)
        return self._extract(images).numpy()


def load_features(name, cache_folder):
    """The feature network that `evaluate.features` names, or None for "none".

    "digits": the penultimate layer of a small classifier, kept in `cache_folder`. "inception_v3":
    Keras' weights of ImageNet, downloaded, or "inception_v3:PATH.h5". "model:PATH.keras": any Keras
    model from images in [-1, 1] to vectors. Raises UserError if weights can be neither downloaded
    nor read, or the model is of another kind.
    """
    if name == "none":
        return None
    if name == "digits":
        classifier = digit_classifier.load_digit_classifier(cache_folder)
        features = classifier.get_layer(digit_classifier.FEATURES_LAYER).output
        network = keras.Model(classifier.inputs, features)
        size = (digit_classifier.SIZE, digit_classifier.SIZE)
        return FeatureNetwork(network, size, "digit-classifier features")
    kind, _, path = name.partition(":")
    if kind == "model":
        return _model_features(path)
    label = (
        f"InceptionV3 features, weights from {Path(path).name}" if path else "InceptionV3 features"
    )
    return FeatureNetwork(_inception(path), INCEPTION_SIZE, label)


def load_spatial_features(name):
    """InceptionV3 up to the input of its second pooling, for SIFID (Shaham et al. 2019).

    `name` as for `load_features`. Its features are maps (batch, 71, 71, 192).
    """
    inception = _inception(name.partition(":")[2])
    poolings = [x for x in inception.layers if isinstance(x, keras.layers.MaxPooling2D)]
    network = keras.Model(inception.inputs, poolings[1].input)
    return FeatureNetwork(network, INCEPTION_SIZE, "InceptionV3 before its second pooling")


def _model_features(path):
    """A saved Keras model, loaded without executing code from the file."""
    try:
        network = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a different class for each way that a file can be wrong
        raise UserError(
            f"evaluate.features: {path} is no Keras model that can be loaded"
        ) from error
    shapes = network.input_shape, network.output_shape
    if [len(shape) if isinstance(shape, tuple) else 0 for shape in shapes] != [4, 2]:
        raise UserError(
            f"evaluate.features: {path} should map images (batch, height, width, 3) to vectors "
            f"(batch, width). Received: {shapes[0]} to {shapes[1]}"
        )
    size = shapes[0][1:3]
    return FeatureNetwork(network, None if None in size else size, f"features of {Path(path).name}")


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
