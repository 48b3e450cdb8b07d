"""What the commands for trained runs begin with: a run, a new folder, and the user's images."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from config import UserError
from data.storage import NewFolder
from data.user_images import read_images
from evaluate.trained_run import TrainedRun
from train.runtime.failures import shortage_reported


@contextlib.contextmanager
def opened(path: Path, checkpoint: str, raw: bool) -> Iterator[TrainedRun]:
    """Yields the `TrainedRun` of a run folder. Raises UserError, also if memory ends within."""
    with shortage_reported("try fewer images"):
        trained = TrainedRun(path, checkpoint, raw=raw)
        print(f"from {trained}")
        yield trained


@contextlib.contextmanager
def opened_to_write(
    run: Path, checkpoint: str, raw: bool, command: str, out: Path | None
) -> Iterator[tuple[TrainedRun, Path]]:
    """Yields a `TrainedRun` and a folder to fill: `out`, or a new one in the run's folder.

    Raises UserError as `opened` and `NewFolder` do.
    """
    made = NewFolder(out or run / command, is_numbered=out is None)
    with opened(run, checkpoint, raw) as trained, made as folder:
        yield trained, folder
    print(f"all of it is in {made.path}")


def read(paths: Sequence[Path], trained: TrainedRun) -> tuple[list[str], np.ndarray, list[str]]:
    """(names, images (n, height, width, 3), problems), see `data.user_images.read_images`.

    Raises UserError if no image remains.
    """
    names, images, problems = read_images(paths, trained.config.data)
    if not names:
        require_no(problems)
    return names, images, problems


def require_no(problems: Sequence[str]) -> None:
    """Raise UserError, so that the exit code tells what was left out."""
    if problems:
        raise UserError(f"left out: {'; '.join(problems)}")


def sample_each(trained: TrainedRun, seeds: Sequence[range]) -> tuple[list[int], np.ndarray]:
    """(seeds, a latent of each (n, d_z))."""
    numbers = [seed for part in seeds for seed in part]
    return numbers, np.concatenate([trained.sample_latents(1, seed) for seed in numbers])
