"""Features of the test images, computed once and kept on disk. See `real_features`."""

import hashlib
import warnings
from pathlib import Path

import numpy as np

from config import UserError
from evaluate.files import write_whole


def images_digest(batches):
    """A digest of all images in `batches`, as the networks see them."""
    digest = hashlib.sha256()
    for batch in batches:
        digest.update(np.ascontiguousarray(batch))
    return digest.hexdigest()[:16]


def real_features(folder, protocol, batches, digest, count, extract, workers):
    """Features (count, width) of the images in `batches`, from a file in `folder` if it is there.

    The file is named by the digest of the images, the feature network and its resizing (of
    `protocol`): a change of any is a miss. A damaged file is made again, with a warning. Of several
    `train.distribution.Workers` the chief has the file, and `batches` are the parts of this one, of
    which `extract` makes features of whole batches. Raises UserError for a network that gives NaN
    or infinity.
    """
    key = hashlib.sha256(digest.encode())
    for part in ("features_sha256", "resize"):
        key.update(protocol[part].encode())
    path = Path(folder) / f"real_{key.hexdigest()[:16]}.npy"
    kept = _read(path, count) if workers.is_chief else None
    if workers.from_chief(kept is not None):
        return kept
    computed = np.concatenate([extract(batch) for batch in batches])
    if not np.all(np.isfinite(computed)):
        raise UserError("evaluate.features: the features of the test images are not finite")
    if workers.is_chief:
        write_whole(path, lambda unfinished: np.save(unfinished, computed))
    return computed


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
