"""What the page of `python main.py explore` computes, without the page. See `Explorer`."""

import io
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from data.images import to_uint8
from data.storage import NewFolder
from data.user_images import read_image
from evaluate.inversion.files import save_images, save_latents
from evaluate.metrics.image_quality import psnr
from evaluate.sheet_layout import INTERPOLATION_LIMIT
from evaluate.trained_run import TrainedRun

ELEMENTS = 8
STEP = 0.01  # of a slider


class Explorer:
    """Recovers or samples a latent, moves its elements and generates its picture.

    `elements` are the indices of the most important latent elements, the most important first. A
    latent is unscaled (d_z,). Images and pictures are float32 (height, width, 3) in [-1, 1]: an
    image is the user's, a picture is generated.
    """

    def __init__(self, trained: TrainedRun) -> None:
        self.trained = trained
        self.elements = [int(element) for element in trained.elements_by_importance[:ELEMENTS]]

    def sample(self, seed: int) -> np.ndarray:
        """Draw a latent from the prior."""
        return self.trained.sample_latents(1, seed)[0]

    def recover(self, content: bytes) -> tuple[np.ndarray, np.ndarray]:
        """(image in a file's bytes, the latent that the encoder recovers). Raises BadImageError."""
        image, _ = read_image(content, self.trained.config.data)
        return image, self.trained.encode(image[None])[0]

    def limits(self, latent: np.ndarray, element: int) -> tuple[float, float]:
        """The ends of an element's slider: the sheets' limits, or beyond to reach the latent's."""
        limit = INTERPOLATION_LIMIT[self.trained.config.latent.prior]
        value = float(latent[element])
        least = min(-limit, math.floor(value / STEP) * STEP)
        return least, max(limit, math.ceil(value / STEP) * STEP)

    def move(self, latent: np.ndarray, values: Mapping[int, float]) -> np.ndarray:
        """Copy the latent and set elements of the copy, {index: value}."""
        moved = latent.copy()
        moved[list(values)] = list(values.values())
        return moved

    def generate(self, latent: np.ndarray) -> np.ndarray:
        """Generate the picture of a latent."""
        return self.trained.generate(latent[None])[0]

    def save(self, latent: np.ndarray, name: str) -> Path:
        """Write picture.png and latents.npz to a new folder in the run's; returns its path.

        latents.npz names the latent `name`. Raises UserError or OSError.
        """
        made = NewFolder(self.trained.folder.path / "explore", is_numbered=True)
        with made as folder:
            save_images(folder, ["picture"], self.generate(latent)[None])
            save_latents(folder, self.trained, latent[None], [name])
        return made.path


def decibels(image: np.ndarray, picture: np.ndarray) -> float:
    """The PSNR between two images (height, width, 3) in [-1, 1]."""
    return float(psnr(image[None], picture[None])[0])


def to_png(image: np.ndarray) -> bytes:
    """Encode an image (height, width, 3) in [-1, 1] as a PNG file of the same size."""
    content = io.BytesIO()
    Image.fromarray(to_uint8(np.asarray(image))).save(content, "PNG")
    return content.getvalue()
