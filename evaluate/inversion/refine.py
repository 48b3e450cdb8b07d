"""GAN inversion of given images: by the encoder, and refined by optimisation. See `invert`."""

import csv
import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from evaluate.metrics.image_quality import psnr, ssim
from evaluate.report.terminal import print_table
from evaluate.trained_run import TrainedRun
from train.losses import encoder_loss

LEARNING_RATE = 0.05  # of Adam, for latents of variance 1; falls to 0 along a cosine
ENCODER_WEIGHT = 0.1
_PRINTED_IMAGES = 20

# (images, latents) -> (d loss / d latents, PSNR), see `_compile_gradient`
GradientAndPsnr = Callable[[np.ndarray, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Inversion(NamedTuple):
    """Unscaled latents of images, the images generated from them, and how close these come."""

    latents: np.ndarray  # (n, d_z)
    images: np.ndarray  # (n, height, width, 3)
    psnr: np.ndarray  # (n,), in dB
    ssim: np.ndarray  # (n,)


def invert(
    trained: TrainedRun, images: np.ndarray, steps: int, on_progress: Callable[[int, int], None]
) -> tuple[Inversion, Inversion | None]:
    """(inversion by the encoder, refined inversion, or None without steps) of images.

    Input: images (n, height, width, 3) in [-1, 1]. Refining is the hybrid method (paper, section
    1): `steps` steps of optimisation that begin at the encoder's latents. `on_progress(done,
    total)` counts the steps of all batches.
    """
    encoded = _measure(trained, images, trained.encode(images))
    if not steps:
        return encoded, None
    gradient_and_psnr = _compile_gradient(trained)
    total, done = steps * math.ceil(len(images) / trained.batch_size), itertools.count(1)

    def refine_batch(images: np.ndarray, latents: np.ndarray) -> tf.Tensor:
        return refine(
            gradient_and_psnr, images, latents, steps, lambda: on_progress(next(done), total)
        )

    refined = trained.in_batches(refine_batch, images, encoded.latents)
    return encoded, _measure(trained, images, refined)


def _measure(trained: TrainedRun, images: np.ndarray, latents: np.ndarray) -> Inversion:
    """Generate images from latents (n, d_z) and compare them with images (n, height, width, 3)."""
    generated = trained.generate(latents)
    values = [trained.in_batches(metric, images, generated) for metric in (psnr, ssim)]
    return Inversion(latents, generated, *values)


def refine(
    gradient_and_psnr: GradientAndPsnr,
    images: np.ndarray,
    latents: np.ndarray,
    steps: int,
    on_step: Callable[[], None],
) -> tf.Tensor:
    """Improve latents (n, d_z) so that the generator comes closer to images (n, height, width, 3).

    Adam takes `steps` steps. For each image, the latent with the highest PSNR among all steps is
    returned, the given one included: no image gets worse.
    """
    current = tf.Variable(latents)
    best, best_psnr = current.value(), tf.fill([len(latents)], -np.inf)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    optimizer = keras.optimizers.Adam(rate, beta_2=0.99)
    for step in range(steps + 1):
        gradient, values = gradient_and_psnr(images, current.value())
        best = tf.where((values > best_psnr)[:, None], current, best)
        best_psnr = tf.maximum(values, best_psnr)
        if step < steps:
            optimizer.apply_gradients([(gradient, current)])
            on_step()
    return best


def _compile_gradient(trained: TrainedRun) -> GradientAndPsnr:
    """Compile a function of images and latents: d loss / d latents (n, d_z), and PSNR (n,).

    The loss is the mean squared error of the pixels plus 0.1 L_enc. L_enc keeps the latent close to
    the one that the encoder recovers from the generated image.
    """
    networks, scale = trained.networks, tf.constant(trained.scale)
    images_spec = tf.TensorSpec((None, *networks.image_shape))
    latents_spec = tf.TensorSpec((None, networks.latent_dim))

    @tf.function(input_signature=[images_spec, latents_spec], autograph=False)
    def gradient_and_psnr(images: tf.Tensor, latents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(latents)
            generated = networks.generate(latents, scale)
            pixel_loss = tf.reduce_mean(tf.square(images - generated), axis=(1, 2, 3))  # (n,)
            regulariser = encoder_loss(latents, networks.encode(generated), scale)  # (n,)
            loss = tf.reduce_sum(pixel_loss + ENCODER_WEIGHT * regulariser)
        clipped = tf.clip_by_value(generated, -1.0, 1.0)
        return tape.gradient(loss, latents), psnr(images, clipped)

    return gradient_and_psnr


def write_metrics(
    path: Path, names: Sequence[str], encoded: Inversion, refined: Inversion | None = None
) -> None:
    """Write a CSV file with one row per image: name, PSNR (dB) and SSIM, before and after refining.

    Without `refined` there are no columns for it.
    """
    columns = _metric_columns(encoded, refined)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *(title.replace(" ", "_") for title in columns)])
        writer.writerows(zip(names, *columns.values(), strict=True))


def print_metrics(
    names: Sequence[str], encoded: Inversion, refined: Inversion | None = None
) -> None:
    """Print the same as a table: at most 20 images, then the mean and the worst of all images."""
    columns = _metric_columns(encoded, refined)
    images = zip(names, *columns.values(), strict=True)
    rows = [
        [name, *map(_format, values)] for name, *values in itertools.islice(images, _PRINTED_IMAGES)
    ]
    if len(names) > _PRINTED_IMAGES:
        rows.append([f"... and {len(names) - _PRINTED_IMAGES} more", *[""] * len(columns)])
    rows.append([])
    for title, reduce in (("mean", np.mean), ("worst", np.min)):
        rows.append([title, *(_format(reduce(values)) for values in columns.values())])
    print_table(["image", *columns], rows)


def _metric_columns(encoded: Inversion, refined: Inversion | None) -> dict[str, np.ndarray]:
    """{title: value of each image (n,)}."""
    columns = {"psnr": encoded.psnr, "ssim": encoded.ssim}
    if refined:
        columns |= {"refined psnr": refined.psnr, "refined ssim": refined.ssim}
    return columns


def _format(value: float) -> str:
    return f"{value:.3f}"
