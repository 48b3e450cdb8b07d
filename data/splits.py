"""Which images are for training and which for testing. See `split_images` and `cut`."""

import hashlib

import numpy as np

from config import UserError

_LARGEST = 2**64


def split_images(settings, source, inventory):
    """{"train": indices, "test": indices} of a source's images; `settings` is `config.data`.

    By content with `data.split`; otherwise as the source itself has it; otherwise the last
    `test_size` by name, by default a tenth, are for testing. Bad images are left out beforehand
    with `on_bad_image: skip`. Raises UserError if a split is empty or smaller than asked for.
    """
    usable = inventory.good if settings.on_bad_image == "skip" else np.ones(len(source.names), bool)
    if settings.split is not None:
        is_test = _share(inventory.digests, settings.split_seed) < settings.split
        splits = {
            "train": np.flatnonzero(usable & ~is_test),
            "test": np.flatnonzero(usable & is_test),
        }
    elif source.splits:
        splits = {split: indices[usable[indices]] for split, indices in source.splits.items()}
    else:
        splits = split_by_position(settings, np.flatnonzero(usable))
    return cut(settings, splits)


def split_by_position(settings, indices, default_test_size=None):
    """The last `test_size`, by default a tenth, for testing; all others for training."""
    test_size = settings.test_size or default_test_size or max(1, len(indices) // 10)
    first = max(0, len(indices) - test_size)
    return {"train": indices[:first], "test": indices[first:]}


def cut(settings, splits):
    """The first `train_size` images to train and the last `test_size` to test; None: all."""
    sizes = {"train": settings.train_size, "test": settings.test_size}
    for split, indices in splits.items():
        needed = sizes[split] or 1
        if len(indices) < needed:
            raise UserError(
                f"data.source: {settings.source} has {len(indices)} images to {split}, fewer than "
                f"{needed}; data.train_size is {settings.train_size}, test_size "
                f"{settings.test_size}, split {settings.split}"
            )
    return {
        "train": splits["train"][: sizes["train"]],
        "test": splits["test"][-(sizes["test"] or 0) :],
    }


def _share(digests, seed):
    """A number in [0, 1) for each image, of its content and the seed alone: (n,) float64.

    Equal files have equal numbers, so that no image is in both splits.
    """
    key = seed.to_bytes(8, "little")
    hashes = (hashlib.blake2b(digest, digest_size=8, key=key).digest() for digest in digests)
    numbers = np.array([int.from_bytes(hash_, "little") for hash_ in hashes], dtype=np.float64)
    return numbers / _LARGEST
