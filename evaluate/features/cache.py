"""Features of the test images, computed once and kept on disk. See `real_features`."""

import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from config import UserError
from data.storage import write_whole
from train.runtime.distribution import Processes


def images_digest(batches: Iterable[tf.Tensor]) -> str:
    """A digest of all images in `batches` (batch, height, width, 3), as the networks see them."""
    digest = hashlib.sha256()
    for batch in batches:
        digest.update(np.ascontiguousarray(batch))
    return digest.hexdigest()[:16]


def real_features(
    folder: str | Path,
    protocol: Mapping[str, str],
    batches: Iterable[tf.Tensor],
    digest: str,
    count: int,
    extract: Callable[[tf.Tensor], tf.Tensor],
    processes: Processes,
) -> np.ndarray | None:
    """Features (count, width) of the test images, read from a file in `folder` or computed.

    The name of the file depends on the `digest` of the images and on the feature network and its
    resizing (from `protocol`): if one of them changes, the features are computed. They are also
    computed, with a warning, if the file is damaged. Raises UserError for a network that gives NaN
    or infinity.

    Only the chief reads or writes the file; when it has read the features, all other processes
    return None. Each process passes its own part of every batch in `batches`; `extract` turns it
    into the features of the whole batch.
    """
    key = hashlib.sha256(digest.encode())
    for part in ("features_sha256", "resize"):
        key.update(protocol[part].encode())
    path = Path(folder) / f"real_{key.hexdigest()[:16]}.npy"
    kept = _read(path, count) if processes.is_chief else None
    if processes.from_chief(kept is not None):
        return kept
    computed = np.concatenate([extract(batch) for batch in batches])
    if not np.all(np.isfinite(computed)):
        raise UserError("evaluate.features: the features of the test images are not finite")
    if processes.is_chief:
        write_whole(path, lambda unfinished: np.save(unfinished, computed))
    return computed


def _read(path: Path, count: int) -> np.ndarray | None:
    """The features in the file, or None if it is missing or, with a warning, damaged."""
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
