"""Sheets of images: 8 x 8 tiles as one picture. See `draw_sheets` and `tile`."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from data.images import to_uint8
from evaluate.inverter import Inverter
from evaluate.sheet_layout import (
    COLUMNS,
    GAP,
    INTERPOLATED_ELEMENTS,
    INTERPOLATION_LIMIT,
    enlargement,
    tile_lefts,
)

NOISE_DEVIATION = 0.3
NOISY_COPIES = 6
_LEAST_FONT = 12  # pixels: three lines fit beside the smallest tile
_LABEL_MARGIN = 8


def draw_sheets(
    inverter: Inverter,
    scale: np.ndarray | tf.Tensor,
    prior: str,
    latents: np.ndarray | tf.Tensor,
    noise: np.ndarray | tf.Tensor,
    real_images: np.ndarray | tf.Tensor,
) -> dict[str, np.ndarray]:
    """Draw all sheets of one epoch: {name: uint8 image (height, width, 3)}.

    `scale` is s (d_z,). `latents` (64, d_z) and `noise` (6, d_z) are the same in every epoch, and
    so are `real_images` (up to 32, height, width, 3), which come from the test split. Figures 11,
    16 and 17 show some of these sheets.
    """
    half = len(latents) // 2
    samples = inverter.generate(latents, scale).numpy()
    originals = {
        "real_reconstructed": real_images,
        "fake_reconstructed": samples[:half],
    }
    sheets = {"samples": tile(samples)}
    for name, images in originals.items():
        reconstructed = inverter.reconstruct(images, scale).numpy()
        sheets[name] = tile(alternate(images, reconstructed), group=2)
    sheets["latent_noise"] = _draw_latent_noise(inverter, scale, noise, real_images[:COLUMNS])
    elements = np.argsort(-np.asarray(scale))[:INTERPOLATED_ELEMENTS]  # of the largest scales
    for rank, element in enumerate(elements, start=1):
        varied = vary_element(latents[:COLUMNS], element, INTERPOLATION_LIMIT[prior])
        sheets[f"interpolation_{rank}"] = tile(inverter.generate(varied, scale).numpy())
    return sheets


def vary_element(
    latents: np.ndarray | tf.Tensor, element: int, limit: float, steps: int = COLUMNS
) -> np.ndarray:
    """Repeat each latent `steps` times while one element goes from -limit to limit.

    Input: latents (n, d_z). Output: (n * steps, d_z), the steps of the first latent first.
    """
    varied = np.repeat(np.asarray(latents), steps, axis=0)
    varied[:, element] = np.tile(np.linspace(-limit, limit, steps), len(latents))
    return varied


def _draw_latent_noise(
    inverter: Inverter,
    scale: np.ndarray | tf.Tensor,
    noise: np.ndarray | tf.Tensor,
    real_images: np.ndarray | tf.Tensor,
) -> np.ndarray:
    """Draw a row for each image: the image, its reconstruction, 6 with noise on its latent."""
    recovered = inverter.encode(real_images).numpy()[:, None, :]  # (rows, 1, d_z)
    noisy = recovered + NOISE_DEVIATION * np.asarray(noise)  # (rows, 6, d_z)
    latents = np.concatenate([recovered, noisy], axis=1)  # (rows, 7, d_z)
    generated = inverter.generate(latents.reshape(-1, noise.shape[1]), scale).numpy()
    size = real_images.shape[1:]  # (height, width, 3)
    generated = generated.reshape(len(real_images), -1, *size)  # (rows, 7, height, width, 3)
    rows = np.concatenate([np.asarray(real_images)[:, None], generated], axis=1)
    return tile(rows.reshape(-1, *size))


def alternate(*images: np.ndarray | tf.Tensor) -> np.ndarray:
    """Interleave arrays (n, height, width, 3): the first image of each, the second of each ..."""
    return np.stack(images, axis=1).reshape(-1, *images[0].shape[1:])


def tile(images: np.ndarray, columns: int = COLUMNS, group: int = 1) -> np.ndarray:
    """Lay out images (n, height, width, 3) in [-1, 1] row by row on white: uint8.

    Each `group` of neighbours stands close together, such as the two images of a pair.
    """
    height, width = images.shape[1:3]
    factor = enlargement(height)
    pixels = to_uint8(images).repeat(factor, axis=1).repeat(factor, axis=2)
    height, width = height * factor, width * factor
    rows = math.ceil(len(images) / columns)
    lefts = tile_lefts(width, columns, group)
    sheet = np.full((rows * (height + GAP) - GAP, lefts[-1] + width, 3), 255, np.uint8)
    for index, image in enumerate(pixels):
        top, left = index // columns * (height + GAP), lefts[index % columns]
        sheet[top : top + height, left : left + width] = image
    return sheet


def label_rows(sheet: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Put a text of up to three lines to the left of each row of a sheet (height, width, 3)."""
    pitch = (len(sheet) + GAP) // len(labels)
    font = ImageFont.load_default(max(_LEAST_FONT, pitch // 8))
    width = max(font.getlength(line) for label in labels for line in label.splitlines())
    margin = Image.new("RGB", (math.ceil(width) + 2 * _LABEL_MARGIN, len(sheet)), "white")
    draw = ImageDraw.Draw(margin)
    for row, label in enumerate(labels):
        middle = row * pitch + (pitch - GAP) // 2
        draw.text((_LABEL_MARGIN, middle), label, "black", font, anchor="lm", spacing=1)
    return np.concatenate([np.asarray(margin), sheet], axis=1)
