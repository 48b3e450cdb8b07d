"""Sheets of images: 8 x 8 tiles as one picture. See `draw_sheets` and `save_sheet`."""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from data.images import to_uint8
from models.latent import UNIFORM_LIMIT

COLUMNS = 8
NOISE_DEVIATION = 0.3
NOISY_COPIES = 6
INTERPOLATED_ELEMENTS = 8
INTERPOLATION_LIMIT = {"normal": 2.0, "uniform": UNIFORM_LIMIT}
_LEAST_TILE = 48  # pixels; smaller images are enlarged by whole factors
GAP = 2
_PAIR_GAP = 8


def draw_sheets(inverter, scale, prior, latents, noise, real_images):
    """All sheets of one epoch: a dict of names to uint8 images. `inverter` is an `Inverter`.

    `latents` (64, d_z) and `noise` (6, d_z) are the same in every epoch, as are `real_images`, up
    to 32 of the test split. Figures 11, 16 and 17 show some of these sheets.
    """
    half = len(latents) // 2
    samples = inverter.generate(latents, scale).numpy()
    pairs = {
        "real_reconstructed": real_images,
        "fake_reconstructed": samples[:half],
    }
    sheets = {"samples": tile(samples)}
    for name, images in pairs.items():
        again = inverter.reconstruct(images, scale).numpy()
        sheets[name] = tile(alternate(images, again), group=2)
    sheets["latent_noise"] = _latent_noise(inverter, scale, noise, real_images[:COLUMNS])
    elements = np.argsort(-np.asarray(scale))[:INTERPOLATED_ELEMENTS]
    for rank, element in enumerate(elements, start=1):
        varied = vary_element(latents[:COLUMNS], element, INTERPOLATION_LIMIT[prior])
        sheets[f"interpolation_{rank}"] = tile(inverter.generate(varied, scale).numpy())
    return sheets


def vary_element(latents, element, limit, steps=COLUMNS):
    """Each of n latents `steps` times, one element going from -limit to limit: (steps * n, d_z)."""
    varied = np.repeat(np.asarray(latents), steps, axis=0)
    varied[:, element] = np.tile(np.linspace(-limit, limit, steps), len(latents))
    return varied


def _latent_noise(inverter, scale, noise, real_images):
    """A row for each image: itself, its reconstruction, 6 with noise on the recovered latent."""
    latents = inverter.encode(real_images).numpy()[:, None, :]  # (rows, 1, d_z)
    noisy = latents + NOISE_DEVIATION * np.asarray(noise)  # (rows, 6, d_z)
    latents = np.concatenate([latents, noisy], axis=1).reshape(-1, noise.shape[1])
    generated = inverter.generate(latents, scale).numpy()
    generated = generated.reshape(len(real_images), -1, *real_images.shape[1:])
    rows = np.concatenate([np.asarray(real_images)[:, None], generated], axis=1)
    return tile(rows.reshape(-1, *real_images.shape[1:]))


def alternate(*images):
    """The first of each of several arrays (n, height, width, 3), then the second of each ..."""
    return np.stack(images, axis=1).reshape(-1, *images[0].shape[1:])


def enlargement(size):
    """The whole factor by which sheets enlarge images of this height."""
    return math.ceil(_LEAST_TILE / size)


def tile(images, columns=COLUMNS, group=1):
    """Lay images (n, height, width, 3) in [-1, 1] out row by row on white; uint8.

    `group` neighbours stand close together, such as the two images of a pair.
    """
    height, width = images.shape[1:3]
    factor = enlargement(height)
    pixels = to_uint8(images).repeat(factor, axis=1).repeat(factor, axis=2)
    height, width = height * factor, width * factor
    rows = math.ceil(len(images) / columns)
    lefts = [
        column * (width + GAP) + column // group * (_PAIR_GAP if group > 1 else 0)
        for column in range(columns)
    ]
    sheet = np.full((rows * (height + GAP) - GAP, lefts[-1] + width, 3), 255, np.uint8)
    for index, image in enumerate(pixels):
        top, left = index // columns * (height + GAP), lefts[index % columns]
        sheet[top : top + height, left : left + width] = image
    return sheet


def save_sheet(path, sheet):
    """Write a uint8 image (height, width, 3) as PNG. Raises OSError."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)
