"""The authors' released models: to a run folder and back. See `import_reference`."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from config import Config, UserError, reason, resolve_run
from data.storage import NewFolder
from evaluate.trained_run import TrainedRun
from models.reference.weights import load_h5, save_h5
from train.runs.checkpoints import Checkpoints
from train.runs.folder import RunFolder
from train.runtime.device import device_name
from train.step import Trainer

VARIANCE_WINDOW = "var_vectors.npy"
_PARTS = ("mapper", "synthesis", "discriminator", "variance_window")


def import_reference(
    config: Config, run: str, weights: Sequence[Path], variance_window: Path, path: Path
) -> None:
    """Make a run folder of mapper.h5, decoder.h5, discriminator.h5 and var_vectors.npy.

    `weights` are the three .h5 paths, `variance_window` the .npy path. The new run has the config
    of the run named `run` and has trained no epoch: it can be used, and trained on.

    Raises UserError for files of another architecture than the config's, and if there is something
    at `path` already.
    """
    config = resolve_run(config, run)
    _require_papers_networks(config)
    files = dict(zip(_PARTS, (*weights, variance_window), strict=True))
    imported = {part: f"{Path(file).name}, SHA-256 {_digest(file)}" for part, file in files.items()}
    window = _read_window(variance_window, (config.latent.variance_window, config.latent.dim))
    trainer = Trainer(config, None)
    try:
        load_h5(trainer.networks, *weights)
    except ValueError as error:
        raise UserError(f"{error}; --config says which architecture is expected") from error
    trainer.averages.start()
    trainer.variance_window.assign(window)
    precision = trainer.train_config.precision
    with NewFolder(path) as unfinished:
        folder = RunFolder(unfinished)
        folder.write_config(config, run, 0, device_name(), precision=precision, imported=imported)
        with folder.locked():
            Checkpoints(trainer, folder).save(0)


def export_reference(trained: TrainedRun, folder: Path) -> None:
    """Write a run's networks and variance window as the authors' code does.

    Raises UserError for networks that it does not have.
    """
    _require_papers_networks(trained.config)
    save_h5(trained.networks, folder)
    np.save(Path(folder) / VARIANCE_WINDOW, trained.variance_window)


def _require_papers_networks(config: Config) -> None:
    """Raise UserError for networks and variances that the authors' released files cannot hold."""
    for section, key, value in (
        ("train", "method", "dlsgan"),
        ("model", "backbone", "dlsgan"),
        ("train", "encoder_loss", "squared_error"),
        ("latent", "variance", "window"),
    ):
        received = getattr(getattr(config, section), key)
        if received != value:
            raise UserError(
                f"{section}.{key}: the authors' files are for {value}. Received: {received}"
            )


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {reason(error)}") from error


def _read_window(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """The variance window (window, d_z) of a .npy file."""
    try:
        with open(path, "rb") as file:
            window = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: no .npy file that can be read") from error
    if window.shape != shape or not np.issubdtype(window.dtype, np.floating):
        raise UserError(
            f"{path}: {window.dtype} of shape {window.shape}, but the variance window of the "
            f"config has {shape}"
        )
    if not (np.all(np.isfinite(window)) and np.all(window >= 0) and np.all(window.any(axis=0))):
        raise UserError(f"{path}: a variance is negative, zero or not finite")
    return window
