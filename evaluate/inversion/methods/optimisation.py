"""GAN inversion by optimisation of codes, as functions of tensors. See `optimise`."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from evaluate.inversion.methods.choices import FEATURES_WEIGHT, Method, list_paces
from train.adam import Adam


class Problem(NamedTuple):
    """Functions of tensors, and where codes lie. Codes are what a generator makes images of.

    generate: codes (n, ...) to images (n, height, width, 3), unclipped.
    features: images to features (n, ...).
    regularise: codes and the images that they give to how far the codes are from those that the
        encoder recovers from these images (n,).
    spread: the standard deviation of codes, of all their elements together.
    """

    generate: Callable[[tf.Tensor], tf.Tensor]
    features: Callable[[tf.Tensor], tf.Tensor]
    regularise: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    spread: float


class Step(NamedTuple):
    """Codes (n, ...) after a step, and the images from which the step's gradient came, clipped."""

    codes: tf.Tensor
    images: tf.Tensor


# (codes, noise, images, their features) -> (d loss / d codes, generated images), see
# `compile_gradient`
Gradient = Callable[..., tuple[tf.Tensor, tf.Tensor]]


def mean_and_spread(codes: np.ndarray) -> tuple[np.ndarray, float]:
    """The mean (...) and the spread of codes (n, ...), see `Problem`."""
    mean = codes.mean(axis=0)
    return mean, float(np.sqrt(np.sum(np.square(codes - mean)) / len(codes)))


def projection_loss(features: tf.Tensor, generated_features: tf.Tensor) -> tf.Tensor:
    """Summed squared differences (n,) of features (n, ...): what the projector minimises."""
    difference = tf.square(features - generated_features)
    return tf.reduce_sum(difference, axis=_all_but_first(difference))


def reconstruction_loss(
    images: tf.Tensor, generated: tf.Tensor, features: tf.Tensor, generated_features: tf.Tensor
) -> tf.Tensor:
    """`mean (x - G)^2 + 5e-5 mean (F(x) - F(G))^2` (n,) of images and features (n, ...)."""
    pixels, perceptual = (
        tf.reduce_mean(tf.square(x - y), axis=_all_but_first(x))
        for x, y in ((images, generated), (features, generated_features))
    )
    return pixels + FEATURES_WEIGHT * perceptual


def _all_but_first(values: tf.Tensor) -> list[int]:
    return list(range(1, len(values.shape)))


def compile_gradient(
    problem: Problem, method: Method, codes: tf.Tensor, images: tf.Tensor
) -> Gradient:
    """Compile a function of codes (n, ...), noise on them (...), images, and the images' features.

    It returns the gradient of the loss for the codes, and the generated images, clipped. `codes`
    and `images` are examples, any number of them.
    """
    codes_spec, images_spec, features_spec = (
        tf.TensorSpec((None, *x.shape[1:])) for x in (codes, images, problem.features(images))
    )
    noise_spec = tf.TensorSpec(codes.shape[1:])

    @tf.function(
        input_signature=[codes_spec, noise_spec, images_spec, features_spec], autograph=False
    )
    def gradient(
        codes: tf.Tensor, noise: tf.Tensor, images: tf.Tensor, features: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(codes)
            noisy = codes + noise
            generated = problem.generate(noisy)
            generated_features = problem.features(generated)
            if method.from_encoder:
                loss = reconstruction_loss(images, generated, features, generated_features)
            else:
                loss = projection_loss(features, generated_features)
            if method.regulariser_weight:
                loss += method.regulariser_weight * problem.regularise(noisy, generated)
            total = tf.reduce_sum(loss)
        return tape.gradient(total, codes), tf.clip_by_value(generated, -1.0, 1.0)

    return gradient


def optimise(
    gradient: Gradient,
    problem: Problem,
    method: Method,
    images: tf.Tensor,
    start: tf.Tensor,
    steps: int,
    draw_noise: Callable[[int], tf.Tensor],
) -> Iterator[Step]:
    """Yield the codes of images (n, ...) after each of some steps of Adam from `start`.

    `gradient` is that of `compile_gradient`. `draw_noise(step)` gives noise of variance 1 for
    all codes (...). Each image's codes depend on no other image.
    """
    features, codes = problem.features(images), tf.Variable(start)
    adam = Adam([codes], learning_rate=0.0)
    for step, pace in enumerate(list_paces(method, steps)):
        noise = draw_noise(step) * (pace.noise * problem.spread)
        slope, generated = gradient(codes.value(), noise, images, features)
        adam.learning_rate = pace.rate
        adam.apply([slope])
        yield Step(tf.identity(codes), generated)
