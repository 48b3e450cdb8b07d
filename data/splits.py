"""Which images are for training and which for testing. See `split_images`."""

import hashlib

import numpy as np

from config import UserError
from config.sections import DataConfig
from data.inventory import Inventory
from data.sources.base import Source, Splits


def split_images(data_config: DataConfig, source: Source, inventory: Inventory) -> Splits:
    """{"train": indices, "test": indices} of a source's images.

    With `data.split`, the content of each image decides. Otherwise the source's own partition
    counts, if it has one. Otherwise the last `test_size` images by name, a tenth by default, are
    for testing. With `on_bad_image: skip`, bad images are left out first. Raises UserError if a
    split is empty or smaller than the config asks for.
    """
    skips = data_config.on_bad_image == "skip"
    usable = inventory.good if skips else np.ones(len(source.names), bool)
    if data_config.split is not None:
        is_test = _hash_to_fractions(inventory.digests, data_config.split_seed) < data_config.split
        splits = {
            "train": np.flatnonzero(usable & ~is_test),
            "test": np.flatnonzero(usable & is_test),
        }
    elif source.splits:
        splits = {split: indices[usable[indices]] for split, indices in source.splits.items()}
    else:
        splits = split_by_position(data_config, np.flatnonzero(usable))
    return limit_splits(data_config, splits)


def split_by_position(
    data_config: DataConfig, indices: np.ndarray, default_test_size: int | None = None
) -> Splits:
    """The last `test_size` of `indices` (n,), a tenth by default, for testing; others to train."""
    test_size = data_config.test_size or default_test_size or max(1, len(indices) // 10)
    first = max(0, len(indices) - test_size)
    return {"train": indices[:first], "test": indices[first:]}


def limit_splits(data_config: DataConfig, splits: Splits) -> Splits:
    """Keep the first `train_size` images to train and the last `test_size` to test; None: all.

    Raises UserError if a split is empty or smaller than the config asks for.
    """
    sizes = {"train": data_config.train_size, "test": data_config.test_size}
    for split, indices in splits.items():
        needed = sizes[split] or 1
        if len(indices) < needed:
            raise UserError(
                f"data.source: {data_config.source} has {len(indices)} images to {split}, fewer "
                f"than {needed}; data.train_size is {data_config.train_size}, test_size "
                f"{data_config.test_size}, split {data_config.split}"
            )
    return {
        "train": splits["train"][: sizes["train"]],
        "test": splits["test"][-(sizes["test"] or 0) :],
    }


def _hash_to_fractions(digests: np.ndarray, seed: int) -> np.ndarray:
    """Hash the content of each image, (n, 16) uint8, and the seed to [0, 1): (n,) float64.

    Equal files get equal numbers, so that no image is in both splits.
    """
    key = seed.to_bytes(8, "little")
    hashes = (hashlib.blake2b(digest, digest_size=8, key=key).digest() for digest in digests)
    numbers = np.array([int.from_bytes(hash_, "little") for hash_ in hashes], dtype=np.float64)
    return numbers / 2**64
