"""GAN inversion of given images: by the encoder, and refined by optimisation. See `invert`."""

import csv
import itertools
import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from evaluate.reconstruction import psnr, ssim
from evaluate.results import wide_console
from train.losses import encoder_loss

LEARNING_RATE = 0.05  # of Adam, for latents of variance 1; falls to 0 along a cosine
ENCODER_WEIGHT = 0.1
_PRINTED = 20  # images


class Inversion(NamedTuple):
    """Latents (n, d_z), unscaled, and what the generator makes of them, with PSNR (dB) and SSIM."""

    latents: np.ndarray
    images: np.ndarray
    psnr: np.ndarray
    ssim: np.ndarray


def invert(trained, images, steps, report):
    """(Inversion by the encoder, the refined one or None without steps) of images.

    Refined is the hybrid method (paper, section 1): `steps` steps of optimisation from what the
    encoder recovers. `trained` is a `TrainedRun`; `report(done, total)` counts steps.
    """
    encoded = _inversion(trained, images, trained.encode(images))
    if not steps:
        return encoded, None
    gradient_and_psnr = _compile(trained)
    total, done = steps * math.ceil(len(images) / trained.batch_size), itertools.count(1)

    def refine_batch(images, latents):
        return refine(gradient_and_psnr, images, latents, steps, lambda: report(next(done), total))

    refined = trained.in_batches(refine_batch, images, encoded.latents)
    return encoded, _inversion(trained, images, refined)


def _inversion(trained, images, latents):
    again = trained.generate(latents)
    psnr_and_ssim = [trained.in_batches(metric, images, again) for metric in (psnr, ssim)]
    return Inversion(latents, again, *psnr_and_ssim)


def refine(gradient_and_psnr, images, latents, steps, report):
    """Latents (n, d_z) with which the generator comes at least as close to images as with given.

    `steps` of Adam; of all of them, each image takes the latent of its highest PSNR, the given one
    included.
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
            report()
    return best


def _compile(trained):
    """A function of images and latents: d loss / d latents (n, d_z), and PSNR (n,).

    The loss is the mean squared error of the pixels plus 0.1 L_enc, which keeps the image one that
    the generator makes of what the encoder sees in it.
    """
    networks, scale = trained.networks, tf.constant(trained.scale)
    shapes = (networks.discriminator.input_shape, networks.mapper.input_shape)

    @tf.function(input_signature=[tf.TensorSpec(shape) for shape in shapes], autograph=False)
    def gradient_and_psnr(images, latents):
        with tf.GradientTape() as tape:
            tape.watch(latents)
            again = networks.generate(latents, scale)
            pixels = tf.reduce_mean(tf.square(images - again), axis=(1, 2, 3))
            regulariser = encoder_loss(latents, networks.encode(again), scale)
            loss = tf.reduce_sum(pixels + ENCODER_WEIGHT * regulariser)
        clipped = tf.clip_by_value(again, -1.0, 1.0)
        return tape.gradient(loss, latents), psnr(images, clipped)

    return gradient_and_psnr


def write_metrics(path, names, encoded, refined=None):
    """Write a CSV file with a row an image: name, PSNR (dB) and SSIM, before and after refining."""
    columns = _metric_columns(encoded, refined)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *(title.replace(" ", "_") for title in columns)])
        writer.writerows(zip(names, *columns.values(), strict=True))


def print_metrics(names, encoded, refined=None):
    """Print the same as a table, at most 20 images of it, with their mean and the worst."""
    columns = _metric_columns(encoded, refined)
    table = Table("image", *columns, box=SIMPLE)
    for row in list(zip(names, *columns.values(), strict=True))[:_PRINTED]:
        table.add_row(escape(row[0]), *map(_number, row[1:]))
    if len(names) > _PRINTED:
        table.add_row(f"... and {len(names) - _PRINTED} more")
    table.add_section()
    for title, of_all in (("mean", np.mean), ("worst", np.min)):
        table.add_row(title, *(_number(of_all(values)) for values in columns.values()))
    wide_console().print(table, crop=False)


def _metric_columns(encoded, refined):
    columns = {"psnr": encoded.psnr, "ssim": encoded.ssim}
    if refined:
        columns |= {"refined psnr": refined.psnr, "refined ssim": refined.ssim}
    return columns


def _number(value):
    return f"{value:.3f}"
