"""What a texture method is: an entry of `train.textures.methods.METHODS`. See `Method`."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from train.textures.unfinished import Unfinished

OnProgress = Callable[[int, int], None]  # of steps that are done, of all


class TextureModel(Protocol):
    """What a method made of one exemplar."""

    def sample(
        self, height: int, width: int, seed: int, tile: bool, on_progress: OnProgress
    ) -> np.ndarray:
        """An image (height, width, 3) with values about [0, 1]; with `tile`, one that repeats."""

    def arrays(self) -> dict[str, np.ndarray]:
        """What the method's `restore` takes."""


class Method(NamedTuple):
    """A method; its settings are its section in `config.textures.SECTIONS`.

    `fit(exemplar (height, width, 3) in [0, 1], settings, seed, on_progress, unfinished)` makes a
    `TextureModel`, and a long one goes on from what is in `unfinished`. `restore(settings, arrays)`
    makes it of `TextureModel.arrays`; raises KeyError, TypeError or ValueError for those of another
    method and for damaged ones.
    """

    fit: Callable[[np.ndarray, Any, int, OnProgress, Unfinished], TextureModel]
    restore: Callable[[Any, dict[str, np.ndarray]], TextureModel]
