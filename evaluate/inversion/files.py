"""Write images and latents of a trained run: `save_images` and `save_latents`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.images import to_uint8
from data.storage import save_image
from evaluate.trained_run import TrainedRun


def save_images(folder: Path, stems: Sequence[str], images: np.ndarray) -> None:
    """Write images (n, height, width, 3) in [-1, 1] as PNG files; `stems` are their names."""
    folder.mkdir(exist_ok=True)  # not its parents: if they are gone, the user removed them
    for stem, pixels in zip(stems, to_uint8(images), strict=True):
        save_image(folder / f"{stem}.png", pixels)


def save_latents(
    folder: Path, trained: TrainedRun, latents: np.ndarray, names: Sequence[str]
) -> None:
    """Write latents.npz: latents z (n, d_z), scaled latents z∘s, the scale s, the images' names."""
    arrays = {"latents": latents, "scaled_latents": latents * trained.scale, "scale": trained.scale}
    np.savez(folder / "latents.npz", names=np.array(names), **arrays)
