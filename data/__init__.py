"""Images for training and testing: `load` returns one epoch of them.

Importing this package does not import TensorFlow, because processes that use `data.storage` alone
must start quickly.
"""

from typing import TYPE_CHECKING

from config import Config

if TYPE_CHECKING:
    from data.batches import Batches


def load(config: Config, split: str, seed: int = 0, epoch: int = 0, start: int = 0) -> "Batches":
    """One epoch of the "train" or "test" split of `config.data`: float32 batches in [-1, 1].

    Each batch is (batch, height, width, 3). The order of the training batches depends on `seed` and
    `epoch` alone, and they begin at step `start`. The test batches are in the order of the source.
    Raises UserError if the data cannot be read or do not fill one batch.
    """
    from data.loading import check_size, open_images, ordered_batches, shuffled_batches

    images = open_images(config.data, split)
    check_size(config, split, len(images))
    if split == "train":
        return shuffled_batches(config, images, seed, epoch, start)
    return ordered_batches(config, images)
