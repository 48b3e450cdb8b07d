"""What a trained run makes, as files: `save_images` and `save_latents`."""

import numpy as np

from data.images import to_uint8
from evaluate.sheets import save_sheet


def save_images(folder, stems, images):
    """Write images (n, height, width, 3) in [-1, 1] as PNG files of these names."""
    folder.mkdir(exist_ok=True)  # not its parents, which may be gone
    for stem, pixels in zip(stems, to_uint8(images), strict=True):
        save_sheet(folder / f"{stem}.png", pixels)


def save_latents(folder, trained, latents, names):
    """Write latents.npz: latents z, scaled latents z∘s, the scale s, and names of the images."""
    arrays = {"latents": latents, "scaled_latents": latents * trained.scale, "scale": trained.scale}
    np.savez(folder / "latents.npz", names=np.array(names), **arrays)
