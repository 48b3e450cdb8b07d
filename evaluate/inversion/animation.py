"""Animations as files. See `save_animations`."""

import subprocess
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.animation import FFMpegWriter
from matplotlib.figure import Figure
from PIL import Image

_MILLISECONDS_PER_FRAME = 60
_DPI = 100


def save_animations(folder: Path, pictures: Sequence[np.ndarray]) -> None:
    """Write animation.gif, animation.webp and, where ffmpeg is installed, animation.mp4.

    `pictures` are uint8 images (height, width, 3). They play back and forth, GIF and WebP for ever.
    """
    frames = [*pictures, *pictures[-2:0:-1]]
    first, *others = map(Image.fromarray, frames)
    for ending in ("gif", "webp"):
        first.save(
            folder / f"animation.{ending}",
            save_all=True,
            append_images=others,
            duration=_MILLISECONDS_PER_FRAME,
            loop=0,
        )
    if FFMpegWriter.isAvailable():
        _save_movie(folder / "animation.mp4", frames)


def _save_movie(path: Path, frames: Sequence[np.ndarray]) -> None:
    height, width = frames[0].shape[:2]
    figure = Figure(figsize=(width / _DPI, height / _DPI))
    shown = figure.figimage(frames[0])  # pixel for pixel
    writer = FFMpegWriter(1000 / _MILLISECONDS_PER_FRAME, codec="h264")
    try:
        with writer.saving(figure, path, _DPI):
            for frame in frames:
                shown.set_data(frame)
                writer.grab_frame()
    except (subprocess.CalledProcessError, BrokenPipeError):
        path.unlink(missing_ok=True)
        warnings.warn(f"{path.name} is left out: ffmpeg cannot write H.264 here", stacklevel=2)
