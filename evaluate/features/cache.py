"""Features of the test images, computed once and kept on disk. See `real_features`."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from config import UserError
from data.checked_files import read_checked, write_checked
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
    extract: Callable[[tf.Tensor], tf.Tensor],
    processes: Processes,
) -> np.ndarray | None:
    """Features (count, width) of the test images, read from a file in `folder` or computed.

    The name of the file depends on the `digest` of the images and on the feature network and its
    resizing (from `protocol`): if one of them changes, the features are computed. They are also
    computed, with a warning, if the file is damaged or a copy of another one. Raises UserError for
    a network that gives NaN or infinity.

    Only the chief reads or writes the file; when it has read the features, all other processes
    return None. Each process passes its own part of every batch in `batches`; `extract` turns it
    into the features of the whole batch.
    """
    key = hashlib.sha256(digest.encode())
    for part in ("features_sha256", "resize"):
        key.update(protocol[part].encode())
    path = Path(folder) / f"real_{key.hexdigest()[:16]}.npy"
    remedy = "the features are computed again"
    kept = read_checked(path, remedy) if processes.is_chief else None
    if processes.from_chief(kept is not None):
        return np.load(kept) if kept else None
    computed = np.concatenate([extract(batch) for batch in batches])
    if not np.all(np.isfinite(computed)):
        raise UserError("evaluate.features: the features of the test images are not finite")
    if processes.is_chief:
        write_checked(path, lambda file: np.save(file, computed))
    return computed
