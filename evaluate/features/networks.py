"""Feature networks for the Fréchet distance: images -> features (n, width). See `load_features`."""

import hashlib
import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from config import UserError
from data.paths import require_file
from evaluate.features import digit_classifier
from evaluate.features.classifier_file import load_digit_classifier
from evaluate.metrics.checks import check_images

INCEPTION_SIZE = (299, 299)
INCEPTION_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
    "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
)


class FeatureNetwork:
    """Call with images (batch, height, width, 3) in [-1, 1] for features (batch, ...), float32.

    A call returns an array and raises ValueError for images out of range; `extract` takes and
    returns tensors. `size` is the (height, width) that images are resized to; None leaves them as
    they are. `label` names the features in plots and rows. `protocol` says exactly how they are
    made; `digest` identifies the network there; by default it is computed from its weights.
    """

    def __init__(
        self,
        network: keras.Model,
        size: tuple[int, int] | None,
        label: str,
        digest: str | None = None,
    ) -> None:
        self.network = network
        self.size = size
        self.label = label
        resize = f"bilinear without antialiasing to {size[0]}x{size[1]}" if size else "none"
        self.protocol = {
            "features": label,
            "features_sha256": digest or _weights_digest(network),
            "resize": resize,
        }

    @tf.function(reduce_retracing=True)
    def extract(self, images: tf.Tensor) -> tf.Tensor:
        """Features (batch, ...) of images (batch, height, width, 3), whose range is not checked."""
        resized = tf.image.resize(images, self.size) if self.size else images
        return self.network(resized, training=False)

    def __call__(self, images: np.ndarray | tf.Tensor) -> np.ndarray:
        check_images(images)
        return self.extract(images).numpy()


def load_features(name: str, cache_folder: str | Path) -> FeatureNetwork | None:
    """The feature network that the config's `evaluate.features` names, or None for "none".

    "digits": the penultimate layer of a small classifier, which is kept in `cache_folder`.
    "inception_v3": Keras' ImageNet weights, downloaded; "inception_v3:PATH.h5": weights from a
    file. "model:PATH.keras": any Keras model from images in [-1, 1] to vectors. Raises UserError if
    the weights can be neither downloaded nor read, and for a model of another kind.
    """
    if name == "none":
        return None
    if name == "digits":
        classifier = load_digit_classifier(cache_folder)
        features = classifier.get_layer(digit_classifier.FEATURES_LAYER).output
        network = keras.Model(classifier.inputs, features)
        size = (digit_classifier.SIZE, digit_classifier.SIZE)
        return FeatureNetwork(network, size, "digit-classifier features")
    kind, _, path = name.partition(":")
    path = os.path.expanduser(path)
    if kind == "model":
        return _load_model(path)
    label = (
        f"InceptionV3 features, weights from {Path(path).name}" if path else "InceptionV3 features"
    )
    return FeatureNetwork(_load_inception(path, "evaluate.features"), INCEPTION_SIZE, label)


def load_spatial_features(name: str) -> FeatureNetwork:
    """InceptionV3 up to the input of its second pooling, for SIFID (Shaham et al. 2019).

    `name` is "inception_v3" or "inception_v3:PATH.h5". Images keep their size, 23 pixels and more:
    the features are maps of about a quarter of it, (batch, height, width, 192). Raises UserError if
    the weights can be neither downloaded nor read.
    """
    kind, _, path = name.partition(":")
    if kind != "inception_v3":
        raise UserError(f"SIFID takes inception_v3 or inception_v3:PATH.h5. Received: {name}")
    inception = _load_inception(os.path.expanduser(path), "--features")
    poolings = [x for x in inception.layers if isinstance(x, keras.layers.MaxPooling2D)]
    network = keras.Model(inception.inputs, poolings[1].input)
    return FeatureNetwork(network, None, "InceptionV3 before its second pooling")


def _load_model(path: str) -> FeatureNetwork:
    """Load a saved Keras model without executing code from the file, and try it on one image."""
    require_file(path, "evaluate.features: ")
    try:
        network = keras.saving.load_model(path, compile=False, safe_mode=True)
        content = Path(path).read_bytes()
    except Exception as error:  # Keras raises another class for each fault of a file
        raise UserError(
            f"evaluate.features: {path} is no Keras model that can be loaded"
        ) from error
    try:
        _, height, width, channels = network.input_shape
        trial = network(tf.zeros((1, height or 64, width or 64, channels)), training=False)
        fits = channels == 3 and len(trial.shape) == 2 and np.all(np.isfinite(trial))
    except Exception:  # not built, several inputs or outputs, or a call that fails
        fits = False
    if not fits:
        raise UserError(
            f"evaluate.features: {path} should map images (batch, height, width, 3) in [-1, 1] to "
            "finite vectors (batch, width)"
        )
    size = (height, width) if height and width else None
    digest = hashlib.sha256(content).hexdigest()[:16]
    return FeatureNetwork(network, size, f"features of {Path(path).name}", digest)


def _load_inception(path: str, where: str) -> keras.Model:
    """Keras' InceptionV3, average-pooled: 2048 features.

    The weights come from the file at `path`, or are ImageNet's if `path` is empty. `where` is the
    setting that asks for it.
    """
    if path:
        require_file(path, f"{where}: ")
    try:
        return keras.applications.InceptionV3(
            include_top=False, weights=path or "imagenet", pooling="avg"
        )
    except Exception as error:  # urllib, h5py and Keras each raise their own
        if path:
            raise UserError(
                f"{where}: {path} does not hold InceptionV3's weights without top"
            ) from error
        raise UserError(
            f"{where}: InceptionV3's weights could not be downloaded; save {INCEPTION_URL} and use "
            "inception_v3:PATH.h5, or no features"
        ) from error


def _weights_digest(network: keras.Model) -> str:
    digest = hashlib.sha256()
    for weights in network.get_weights():
        digest.update(str(weights.shape).encode())
        digest.update(np.ascontiguousarray(weights))
    return digest.hexdigest()[:16]
