"""What the page of `python main.py explore` computes, without the page. See `Explorer`."""

import hashlib
import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from config import UserError
from data.images import to_uint8
from data.storage import NewFolder
from data.user_images import read_image
from evaluate.inversion.editing import Direction, set_elements
from evaluate.inversion.explore_view import DIRECTION, Key, View
from evaluate.inversion.files import save_images, save_latents
from evaluate.metrics.image_quality import psnr
from evaluate.sheet_layout import INTERPOLATION_LIMIT
from evaluate.trained_run import TrainedRun

STEP = 0.01  # of a slider
_DIRECTION_LIMIT = 2.0  # the ends of its slider: twice as far as the two kinds of images lie apart
_IMAGES_KEPT = 100


class Origin(NamedTuple):
    """Where edits begin: a latent and its picture; `image` is the user's, None for a sample."""

    name: str
    latent: np.ndarray
    picture: np.ndarray
    image: np.ndarray | None = None


class Explorer:
    """Recovers or samples a latent, moves its elements and generates its picture.

    `elements` are the indices of all latent elements, the most important first. `direction` is what
    a slider more moves along, and `direction_name` says from where to where. `images` are the
    images that the user chose last, by key. A latent is unscaled (d_z,). Images and pictures are
    float32 (height, width, 3) in [-1, 1]: an image is the user's, a picture is generated.
    """

    def __init__(
        self, trained: TrainedRun, direction: Direction | None = None, direction_name: str = ""
    ) -> None:
        self.trained, self.direction, self.direction_name = trained, direction, direction_name
        self.elements = [int(element) for element in trained.elements_by_importance]
        self.images: dict[str, Origin] = {}

    def recover(self, name: str, content: bytes) -> str:
        """Encode the image in a file's bytes; returns its key in `images`.

        Raises BadImageError, or UserError if its latent is not finite.
        """
        image, _ = read_image(content, self.trained.config.data)
        key = hashlib.sha256(content).hexdigest()[:16]
        latent = self.trained.encode(image[None])[0]
        self.images.pop(key, None)
        self.images[key] = Origin(name, latent, self.generate(latent), image)
        if len(self.images) > _IMAGES_KEPT:
            del self.images[next(iter(self.images))]
        return key

    def origin(self, view: View) -> Origin:
        """The view's image, or a sample of its seed. Raises UserError if the image is forgotten."""
        if view.image is None:
            latent = self.trained.sample_latents(1, view.seed)[0]
            return Origin(f"seed {view.seed}", latent, self.generate(latent))
        if view.image not in self.images:
            raise UserError("the image of this address is no longer here: choose it again")
        return self.images[view.image]

    def edit(self, origin: Origin, view: View) -> np.ndarray:
        """The latent of an origin, moved as `edit` does: along the direction, then the elements."""
        latents, moved = origin.latent[None], dict(view.moved)
        amount = moved.pop(DIRECTION, 0.0)
        if self.direction:
            latents = self.direction.move(latents, amount, self.trained.scale)
        return set_elements(latents, moved)[0]

    def keys(self, view: View) -> list[Key]:
        """The sliders of a view: along the direction, if there is one, and of elements."""
        return [DIRECTION] * bool(self.direction) + self.elements[: view.count]

    def value(self, view: View, latent: np.ndarray, key: Key) -> float:
        """Where a slider stands for a view's edited latent."""
        return view.moved.get(key, 0.0 if key == DIRECTION else float(latent[key]))

    def limits(self, key: Key, value: float) -> tuple[float, float]:
        """The ends of a slider: the sheets' limits for an element, or beyond to reach the value."""
        prior = self.trained.config.latent.prior
        limit = _DIRECTION_LIMIT if key == DIRECTION else INTERPOLATION_LIMIT[prior]
        least = min(-limit, math.floor(value / STEP) * STEP)
        return least, max(limit, math.ceil(value / STEP) * STEP)

    def label(self, key: Key) -> str:
        """What a slider moves."""
        if key == DIRECTION:
            return self.direction_name
        return f"rank {self.elements.index(key) + 1}: element {key}"

    def generate(self, latent: np.ndarray) -> np.ndarray:
        """Generate the picture of a latent. Raises UserError if it is not finite."""
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
