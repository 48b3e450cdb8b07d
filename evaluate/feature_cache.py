"""Features of the test images, computed once and kept on disk. See `real_features`."""

import hashlib
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np


def real_features(folder, features, batches):
    """Features (n, width) of all images in `batches`, from a file in `folder` if they are there.

    The file is named by a digest of the images as the networks see them, the feature network's
    weights and its resizing: a change of any is a miss. A damaged file is made again, with a
    warning.
    """
    path = Path(folder) / f"real_{_digest(features, batches)}.npy"
    count = len(batches) * batches.shape[0]
    kept = _read(path, count)
    if kept is not None:
        return kept
    computed = np.concatenate([features(batch) for batch in batches])
    _write(path, computed)
    return computed


def _digest(features, batches):
    digest = hashlib.sha256()
    for key in ("features_sha256", "resize"):
        digest.update(features.protocol[key].encode())
    for batch in batches:
        digest.update(np.ascontiguousarray(batch))
    return digest.hexdigest()[:16]


def _read(path, count):
    try:
        kept = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError):
        kept = None
    if kept is None or kept.ndim != 2 or len(kept) != count or not np.all(np.isfinite(kept)):
        warnings.warn(f"{path} is damaged; the features are computed again", stacklevel=3)
        return None
    return kept


def _write(path, array):
    """Write beside and rename: another process reads the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        np.save(file, array)
    os.replace(file.name, path)
