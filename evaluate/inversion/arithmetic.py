"""Sums and differences of the mean latents of images. See `add_and_draw`."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluate.sheets import label_rows, tile
from evaluate.trained_run import TrainedRun

_SHOWN = 3  # images of a term
_NOISE = 0.25  # a uniform distribution's limit, around the result


class Term(NamedTuple):
    """Images (n, height, width, 3) whose mean latent is added or, with sign -1, subtracted."""

    sign: int
    name: str
    images: np.ndarray


def add_and_draw(trained: TrainedRun, terms: Sequence[Term]) -> tuple[np.ndarray, np.ndarray]:
    """(mean latent of each term, then their sum (terms + 1, d_z), sheet).

    A row of the sheet has three images of a term and the image of its mean latent; the last one has
    the result, and three with noise on its latent (Radford et al. 2016, section 6.3.2).
    """
    means = np.stack([trained.encode(term.images).mean(axis=0) for term in terms])  # (terms, d_z)
    signs = np.array([term.sign for term in terms], np.float32)
    result = signs @ means
    noise = np.random.default_rng(0).uniform(-_NOISE, _NOISE, (_SHOWN, len(result)))
    last = trained.generate(np.stack([result, *(result + noise.astype(np.float32))]))
    rows = []
    for term, image in zip(terms, trained.generate(means), strict=True):
        shown = term.images[:_SHOWN]
        blank = np.ones((_SHOWN - len(shown), *shown.shape[1:]), np.float32)
        rows += [shown, blank, image[None]]
    sheet = tile(np.concatenate([*rows, last]), columns=_SHOWN + 1)
    labels = [f"{'+-'[t.sign < 0]} {t.name}\n{len(t.images)} images" for t in terms]
    labels.append("= result,\nthen noise")
    return np.concatenate([means, result[None]]), label_rows(sheet, labels)
