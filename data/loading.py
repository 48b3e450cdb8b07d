"""Open the images that the config names and put them in batches. See `open_images`."""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from config import Config, UserError
from config.sections import DataConfig
from data.batches import Batches
from data.cache import cached, require_memory
from data.digits import DIGITS_TEST_SIZE, DigitImages
from data.inventory import require_good, take_inventory
from data.sources import open_source
from data.sources.base import require_folders
from data.splits import limit_splits, split_by_position, split_images
from data.stored import EncodedImages, Images

SPLITS = ("train", "test")
LEAST_SAMPLES = 4  # a sample and its 3 nearest neighbours
_DIGEST_SIZE = 8
# The numbers of images, "train" and "test", and digests of their content in the order of the split,
# "train_digest" and "test_digest".
ImagesRecord = dict[str, int | str]


def open_images(data_config: DataConfig, split: str) -> Images:
    """Open the "train" or "test" split of the images that the config names, see `data.splits`.

    The first call for a source reads and decodes every image once to find the bad ones, and fills
    the cache. Raises UserError if there is nothing to read, if there are fewer images than the
    config asks for, or if an image cannot be decoded and `on_bad_image` is not skip.
    """
    return _keep(_open_uncached(data_config, split), data_config)


def open_splits(data_config: DataConfig) -> tuple[dict[str, Images], ImagesRecord]:
    """Open both splits as `open_images` does; returns them by name, and their record."""
    opened = {split: _open_uncached(data_config, split) for split in SPLITS}
    kept = {split: _keep(images, data_config) for split, images in opened.items()}
    return kept, _describe(opened)


def prepare(
    config: Config, on_progress: Callable[[int, int], None] | None = None
) -> tuple[ImagesRecord, list[str]]:
    """Check all images before training starts, and fill the disk cache.

    Calls `on_progress(done, total)` on the way. Returns the record of the images, and what the user
    should know, see `data.notices`. Raises UserError as `open_images` and `check_size` do.
    """
    opened, notices = {}, []
    for split in SPLITS:
        images = opened[split] = _open_uncached(config.data, split, on_progress)
        check_size(config, split, len(images))
        if config.data.source != "digits":
            notices = images.notices
            if config.data.cache == "disk":
                cached(images, config.data, on_progress)
    if config.data.cache == "memory":
        require_memory(config.data, sum(map(len, opened.values())))
    return _describe(opened), notices


def _keep(images: DigitImages | EncodedImages, data_config: DataConfig) -> Images:
    return images if data_config.source == "digits" else cached(images, data_config)


def _describe(opened: Mapping[str, DigitImages | EncodedImages]) -> ImagesRecord:
    record: ImagesRecord = {}
    for split, images in opened.items():
        record[split] = len(images)
        digest = hashlib.blake2b(images.digests.tobytes(), digest_size=_DIGEST_SIZE)
        record[f"{split}_digest"] = digest.hexdigest()
    return record


def _open_uncached(
    data_config: DataConfig, split: str, on_progress: Callable[[int, int], None] | None = None
) -> DigitImages | EncodedImages:
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}. Received: {split!r}")
    if data_config.source == "digits":
        images = DigitImages(data_config.resolution)
        splits = split_by_position(data_config, np.arange(len(images)), DIGITS_TEST_SIZE)
        images.keep(limit_splits(data_config, splits)[split])
        return images
    source = open_source(data_config)
    if data_config.on_bad_image != "skip":
        require_folders(source)
    inventory = take_inventory(source, data_config.cache_folder, on_progress)
    indices = split_images(data_config, source, inventory)[split]
    require_good(source, inventory, indices)
    return EncodedImages(data_config, source, inventory, indices)


def check_size(config: Config, split: str, size: int) -> None:
    """Raise UserError if a split is smaller than one batch, or too small to compare features."""
    batch = config.train.images_per_step if split == "train" else config.evaluate.batch_size
    used = size // batch * batch
    if not used:
        raise UserError(
            f"data.source: {config.data.source} has {size} images to {split}, fewer than one batch "
            f"of {batch}"
        )
    if split == "test" and config.evaluate.features != "none" and used < LEAST_SAMPLES:
        raise UserError(
            f"data.source: {config.data.source} has {size} images to test; full batches of "
            f"{batch} hold {used} of them, and comparing features takes "
            f"{LEAST_SAMPLES} or more"
        )


def check_length(config: Config, train_images: int) -> None:
    """Raise UserError if networks that grow would not have their full size after all epochs."""
    batch = config.train.images_per_step
    images = config.train.epochs * (train_images // batch * batch)
    try:
        config.model.check_length(config.data.resolution, images)
    except ValueError as error:
        raise UserError(str(error)) from error


def shuffled_batches(
    config: Config,
    images: Images,
    seed: int,
    epoch: int,
    start: int = 0,
    positions: Sequence[int] | np.ndarray | None = None,
) -> Batches:
    """The training batches of one epoch from step `start` on; no image before it is read.

    `seed` and `epoch` alone determine the order and, with `data.flip`, which images are mirrored.
    `positions` selects some images of every batch, for one of several processes; None selects all.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(images))
    mirrored = generator.random(len(images)) < 0.5 if config.data.flip else None
    size = config.train.images_per_step
    positions = np.arange(size) if positions is None else positions
    order = _select_from_batches(order[start * size :], size, positions)
    if mirrored is not None:
        mirrored = _select_from_batches(mirrored[start * size :], size, positions)
    return Batches(images, order, len(positions), mirrored)


def ordered_batches(
    config: Config, images: Images, positions: Sequence[int] | np.ndarray | None = None
) -> Batches:
    """The test batches in the order of the source; `positions` as in `shuffled_batches`."""
    size = config.evaluate.batch_size
    positions = np.arange(size) if positions is None else positions
    order = _select_from_batches(np.arange(len(images)), size, positions)
    return Batches(images, order, len(positions))


def _select_from_batches(
    values: np.ndarray, batch_size: int, positions: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Select `positions` from every full batch of `values` (n,); returns the selected in a row."""
    full = values[: len(values) // batch_size * batch_size]
    return full.reshape(-1, batch_size)[:, positions].reshape(-1)
