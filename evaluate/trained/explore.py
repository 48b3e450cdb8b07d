"""What the page of `python main.py explore` does, without the page. See `Explorer`."""

import io
import math

import numpy as np
from PIL import Image

from data.files import read_image
from data.images import to_uint8
from evaluate.files import NewFolder
from evaluate.reconstruction import psnr
from evaluate.sheets import INTERPOLATION_LIMIT
from evaluate.trained.storage import save_images, save_latents

ELEMENTS = 8
STEP = 0.01  # of a slider


class Explorer:
    """From an image or a seed to a latent, from changes of a latent to a picture.

    `elements` are the indices of the most important latent elements. A latent is unscaled (d_z,);
    an image is float32 (height, width, 3) in [-1, 1].
    """

    def __init__(self, trained):
        self.trained = trained
        self.elements = [int(element) for element in trained.elements_by_importance[:ELEMENTS]]

    def sample(self, seed):
        """A latent from the prior."""
        return self.trained.sample_latents(1, seed)[0]

    def recover(self, content):
        """(image, its latent by the encoder) of a file's bytes. Raises BadImageError."""
        image = read_image(content, self.trained.config.data)
        return image, self.trained.encode(image[None])[0]

    def limits(self, latent, element):
        """(least, largest) value to set an element to: as the sheets do, or the latent's own."""
        limit, value = INTERPOLATION_LIMIT[self.trained.run.prior], float(latent[element])
        least = min(-limit, math.floor(value / STEP) * STEP)
        return least, max(limit, math.ceil(value / STEP) * STEP)

    def move(self, latent, values):
        """The latent with other values of some elements, {index: value}."""
        moved = latent.copy()
        moved[list(values)] = list(values.values())
        return moved

    def generate(self, latent):
        """The picture of a latent."""
        return self.trained.generate(latent[None])[0]

    def save(self, latent, name):
        """Write picture.png and latents.npz to a new folder in the run's; returns its path."""
        made = NewFolder(self.trained.folder.path / "explore", is_numbered=True)
        with made as folder:
            save_images(folder, ["picture"], self.generate(latent)[None])
            save_latents(folder, self.trained, latent[None], [name])
        return made.path


def decibels(image, picture):
    """PSNR of a picture of an image."""
    return float(psnr(image[None], picture[None])[0])


def png(image):
    """The bytes of a PNG file, a pixel a pixel."""
    content = io.BytesIO()
    Image.fromarray(to_uint8(np.asarray(image))).save(content, "PNG")
    return content.getvalue()
