"""The authors' released models: to a run folder and back. See `import_reference`."""

import hashlib
from pathlib import Path

import numpy as np

from config import Run, UserError, reason
from evaluate.files import NewFolder
from models import Networks
from models.reference_weights import load_h5, save_h5
from train.checkpoints import Checkpoints
from train.device import device_name, import_tensorflow
from train.run_folder import RunFolder
from train.step import Trainer

VARIANCE_WINDOW = "var_vectors.npy"


def import_reference(config, run, weights, variance_window, path):
    """Make a run folder of mapper.h5, decoder.h5, discriminator.h5 and var_vectors.npy.

    `weights` are the paths of the first three, `variance_window` that of the last. The run is that
    of `config` and of the name `run` before its first epoch: it can be used, and trained on.

    Raises UserError for files of another architecture than the config's, and if there is something
    at `path` already.
    """
    Run.parse(run)
    files = dict(
        zip((*Networks._fields, "variance_window"), (*weights, variance_window), strict=True)
    )
    imported = {part: f"{Path(file).name}, SHA-256 {_digest(file)}" for part, file in files.items()}
    window = _read_window(variance_window, (config.latent.variance_window, config.latent.dim))
    trainer = Trainer(config, run)
    try:
        load_h5(trainer.networks, *weights)
    except ValueError as error:
        raise UserError(f"{error}; --config says which architecture is expected") from error
    trainer.variance_window.assign(window)
    device, precision = device_name(import_tensorflow()), trainer.settings.precision
    with NewFolder(path) as unfinished:
        folder = RunFolder(unfinished)
        folder.write_config(config, run, 0, device, precision=precision, imported=imported)
        with folder.locked():
            Checkpoints(trainer, folder).save(0)


def export_reference(trained, folder):
    """Write a run's networks and variance window as the authors' code does."""
    save_h5(trained.networks, folder)
    np.save(Path(folder) / VARIANCE_WINDOW, trained.variance_window)


def _digest(path):
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {reason(error)}") from error


def _read_window(path, shape):
    try:
        with open(path, "rb") as file:
            window = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: no .npy file that can be read") from error
    if window.shape != shape or not np.issubdtype(window.dtype, np.floating):
        raise UserError(
            f"{path}: {window.dtype} of shape {window.shape}, where the variance window of the "
            f"config has {shape}"
        )
    if not (np.all(np.isfinite(window)) and np.all(window >= 0) and np.all(window.any(axis=0))):
        raise UserError(f"{path}: a variance is negative, zero or not finite")
    return window
