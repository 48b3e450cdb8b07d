"""Images for training and testing. See `load`."""

import numpy as np

from config import UserError
from data.batches import Batches
from data.cache import cached, require_memory
from data.digits import DIGITS_TEST_SIZE, DigitImages
from data.inventory import require_good, take_inventory
from data.sources import open_source
from data.splits import cut, split_by_position, split_images
from data.stored import EncodedImages

SPLITS = ("train", "test")
LEAST_SAMPLES = 4  # a sample and its 3 nearest neighbours


def load(config, split, seed=0, epoch=0, start=0):
    """One epoch of the "train" or "test" split of `config.data`, as `Batches`.

    Training batches are in an order that depends on `seed` and `epoch` alone, and begin at step
    `start`; test batches are in the order of the source. Raises UserError for unreadable data or
    less than one batch of it.
    """
    images = open_images(config.data, split)
    check_size(config, split, len(images))
    if split == "train":
        return shuffled_batches(config, images, seed, epoch, start)
    return ordered_batches(config, images)


def open_images(settings, split, report=None):
    """Open the "train" or "test" split of the images that `config.data` names, see `data.splits`.

    The first time, every image of the source is read and decoded once, to know the bad ones, and
    the cache is filled; `report(done, total)` is called on the way. Returns one of the classes of
    `data.stored`. Raises UserError if there is nothing to read, less than was asked for, or, unless
    `on_bad_image` is skip, an image that cannot be decoded.
    """
    images = _open_uncached(settings, split, report)
    return images if settings.source == "digits" else cached(images, settings, report)


def prepare(config, report=None):
    """Let fail now whatever would fail in training, and fill the disk cache.

    Returns ({"train": number of images, "test": number}, number of bad images left out). Raises
    UserError as `open_images` and `check_size` do.
    """
    sizes, left_out = {}, 0
    for split in SPLITS:
        images = _open_uncached(config.data, split, report)
        sizes[split] = len(images)
        check_size(config, split, len(images))
        if config.data.source != "digits":
            left_out = images.left_out
            if config.data.cache == "disk":
                cached(images, config.data, report)
    if config.data.cache == "memory":
        require_memory(config.data, sum(sizes.values()))
    return sizes, left_out


def _open_uncached(settings, split, report):
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}. Received: {split!r}")
    if settings.source == "digits":
        images = DigitImages(settings.resolution)
        everything = np.arange(len(images))
        splits = split_by_position(settings, everything, DIGITS_TEST_SIZE)
        images.keep(cut(settings, splits)[split])
        return images
    source = open_source(settings)
    inventory = take_inventory(source, settings.cache_folder, report)
    indices = split_images(settings, source, inventory)[split]
    require_good(source, inventory, indices)
    return EncodedImages(settings, source, inventory, indices)


def check_size(config, split, size):
    """Raise UserError if a split is smaller than one batch, or too small to compare features."""
    section = config.train if split == "train" else config.evaluate
    used = size // section.batch_size * section.batch_size
    if not used:
        raise UserError(
            f"data.source: {config.data.source} has {size} images to {split}, fewer than one batch "
            f"of {section.batch_size}"
        )
    if split == "test" and config.evaluate.features != "none" and used < LEAST_SAMPLES:
        raise UserError(
            f"data.source: {config.data.source} has {size} images to test, of which whole batches "
            f"of {section.batch_size} are {used}; to compare features takes {LEAST_SAMPLES} or more"
        )


def shuffled_batches(config, images, seed, epoch, start=0, positions=None):
    """The batches of one epoch from step `start` on; nothing before it is read.

    Their order, and with `data.flip` which of them are mirrored, depends on `seed` and `epoch`
    alone. Of each batch, those at `positions` are taken, or all.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(images))
    mirrored = generator.random(len(images)) < 0.5 if config.data.flip else None
    size = config.train.batch_size
    positions = np.arange(size) if positions is None else positions
    order = _take_of_batches(order[start * size :], size, positions)
    if mirrored is not None:
        mirrored = _take_of_batches(mirrored[start * size :], size, positions)
    return Batches(images, order, len(positions), mirrored)


def ordered_batches(config, images, positions=None):
    """The batches of the test split, in the order of the source; `positions` as above."""
    size = config.evaluate.batch_size
    positions = np.arange(size) if positions is None else positions
    order = _take_of_batches(np.arange(len(images)), size, positions)
    return Batches(images, order, len(positions))


def _take_of_batches(order, batch_size, positions):
    """Of whole batches, one after the other, what is at such positions of each."""
    whole = order[: len(order) // batch_size * batch_size]
    return whole.reshape(-1, batch_size)[:, positions].reshape(-1)
