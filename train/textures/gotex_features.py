"""What GOTEX compares of two images: patches of a Gaussian pyramid, or a network's features."""

import os
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from config import UserError
from data.paths import require_file

# (image (1, height, width, 3), whether it repeats) -> vectors (n, d) of each scale or layer
Features = Callable[[tf.Tensor, bool], list[tf.Tensor]]
_FILTER = 4  # pixels


def patch_features(size: int, scales: int) -> Features:
    """All patches of `size` x `size` pixels at each scale of a Gaussian pyramid."""

    def extract(image: tf.Tensor, is_periodic: bool) -> list[tf.Tensor]:
        vectors = [patch_vectors(image, size, is_periodic)]
        for _ in range(scales - 1):
            image = halve(image, is_periodic)
            vectors.append(patch_vectors(image, size, is_periodic))
        return vectors

    return extract


def halve(image: tf.Tensor, is_periodic: bool) -> tf.Tensor:
    """The next scale of a Gaussian pyramid: a filter of 4x4 pixels at every second place.

    Input: (1, height, width, 3). Output: (1, (height - 4) // 2 + 1, ...); of an image that repeats,
    half the size, rounded up.
    """
    if is_periodic:
        image = _extend(image, _FILTER - 1)
    weights = np.exp(-np.square(np.arange(_FILTER) - (_FILTER - 1) / 2) / 2)
    kernel = np.outer(weights, weights) / weights.sum() ** 2
    kernel = np.tile(kernel[:, :, None, None], (1, 1, 3, 1)).astype(np.float32)
    return tf.nn.depthwise_conv2d(image, kernel, [1, 2, 2, 1], "VALID")


def patch_vectors(image: tf.Tensor, size: int, is_periodic: bool) -> tf.Tensor:
    """All patches of an image (1, height, width, 3) as vectors (n, 3 * size * size).

    Their order is channel, row, column.
    """
    if is_periodic:
        image = _extend(image, size - 1)
    height, width = image.shape[1] - size + 1, image.shape[2] - size + 1
    shifted = [
        image[0, row : row + height, column : column + width]
        for row in range(size)
        for column in range(size)
    ]
    return tf.reshape(tf.stack(shifted, axis=-1), (height * width, -1))


def _extend(image: tf.Tensor, pixels: int) -> tf.Tensor:
    """Repeat the first rows and columns at the end."""
    image = tf.concat([image, image[:, :pixels]], axis=1)
    return tf.concat([image, image[:, :, :pixels]], axis=2)


def network_features(name: str, layers: Sequence[str]) -> Features:
    """The outputs of layers of a Keras model, which takes images in [-1, 1] of any size.

    `name` is model:PATH.keras. The model pads as it does, whether or not the image repeats. Raises
    UserError.
    """
    path = os.path.expanduser(name.partition(":")[2])
    require_file(path, "features: ")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises another class for each fault of a file
        raise UserError(f"features: {path} is no Keras model that can be loaded") from error
    if model.input_shape != (None, None, None, 3):
        raise UserError(
            f"features: {path} should take images of any size, (None, None, None, 3). Received: "
            f"{model.input_shape}"
        )
    maps = {x.name: x.output for x in model.layers[1:] if len(x.output.shape) == 4}
    for layer in layers:
        if layer not in maps:
            raise UserError(f"layers: {path} has {', '.join(maps)}. Received: {layer}")
    network = keras.Model(model.inputs, [maps[layer] for layer in layers])

    def extract(image: tf.Tensor, _is_periodic: bool) -> list[tf.Tensor]:
        outputs = network(2.0 * image - 1.0, training=False)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        return [tf.reshape(x, (-1, x.shape[-1])) for x in outputs]

    return extract
