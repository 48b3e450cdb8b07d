"""The latent elements by importance, in words. See `print_elements` and `label_elements`."""

from collections.abc import Iterable, Iterator

from evaluate.report.terminal import print_table
from evaluate.trained_run import TrainedRun


def print_elements(trained: TrainedRun) -> None:
    """Print each latent element's rank, index, scale s and variance v, most important first."""
    rows = [
        [
            str(rank),
            str(element),
            f"{trained.scale[element]:.4g}",
            f"{trained.variance[element]:.4g}",
        ]
        for rank, element in _ranked(trained)
    ]
    print_table(["rank", "element", "s", "v"], rows)


def label_elements(trained: TrainedRun, elements: Iterable[int]) -> list[str]:
    """Rank, index and scale of each of the `elements`, a line each."""
    ranks = {element: rank for rank, element in _ranked(trained)}
    return [f"rank {ranks[e]}\nelement {e}\ns = {trained.scale[e]:.3g}" for e in elements]


def _ranked(trained: TrainedRun) -> Iterator[tuple[int, int]]:
    """(rank from 1, index) of all latent elements."""
    yield from enumerate(map(int, trained.elements_by_importance), start=1)
