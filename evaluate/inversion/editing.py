"""Move latents: element by element, from one to another, along a direction. See `Direction`."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from config import UserError
from evaluate.number_lists import parse_ranges, require_number
from evaluate.sheet_layout import COLUMNS
from evaluate.sheets import alternate, tile, vary_element
from evaluate.trained_run import TrainedRun

MOST_ROWS = 64  # of a sheet: image files cannot be of any size
LARGEST_VALUE = 1000  # of a latent element, far beyond what a prior gives
LEAST_EXAMPLES = 10  # images of each kind, to find a direction
_FOLDS = 5
_FRAMES_PER_COLUMN = 4  # of an animation, from one column of the sheet to the next
_EDIT_STEPS = 4


def parse_elements(text: str, trained: TrainedRun, by_rank: bool = False) -> list[int]:
    """Indices of latent elements from a text such as 3, 1-8 or 0,5,7, see `parse_ranges`.

    With `by_rank` the text has ranks by importance instead, from 1.
    """
    ranges = parse_ranges(text, *_numbering(trained, by_rank))
    return [_to_index(number, trained, by_rank) for numbers in ranges for number in numbers]


def parse_changes(
    elements: Sequence[str], ranks: Sequence[str], trained: TrainedRun
) -> dict[int, float]:
    """{index of a latent element: value} from texts such as 3=1.5, by index and by rank.

    Raises UserError for any other text, for an element that does not exist, and for one that is set
    twice.
    """
    changes: dict[int, float] = {}
    for texts, by_rank in ((elements, False), (ranks, True)):
        for text in texts:
            index, value = _parse_assignment(text, trained, by_rank)
            if index in changes:
                raise UserError(
                    f"element {index} is set twice: to {changes[index]:g} and to {value:g}"
                )
            changes[index] = value
    return changes


def _parse_assignment(text: str, trained: TrainedRun, by_rank: bool) -> tuple[int, float]:
    left, _, right = text.partition("=")
    try:
        number, value = int(left), float(right)
        if not abs(value) <= LARGEST_VALUE:
            raise ValueError
    except ValueError as error:
        kind = "RANK" if by_rank else "ELEMENT"
        raise UserError(
            f"a change is given as {kind}=VALUE, such as 3=1.5, with a value from "
            f"-{LARGEST_VALUE} to {LARGEST_VALUE}. Received: {text}"
        ) from error
    require_number(number, *_numbering(trained, by_rank))
    return _to_index(number, trained, by_rank), value


def _numbering(trained: TrainedRun, by_rank: bool) -> tuple[str, int, int]:
    """What the numbers are called, the least and the greatest."""
    count = len(trained.scale)
    return ("rank", 1, count) if by_rank else ("element", 0, count - 1)


def _to_index(number: int, trained: TrainedRun, by_rank: bool) -> int:
    return int(trained.elements_by_importance[number - 1]) if by_rank else number


class Direction(NamedTuple):
    """From images without something to images with it, in the space of scaled latents z∘s."""

    unit: np.ndarray  # (d_z,), of length 1
    gap: float  # along `unit`, between the means of the two kinds of examples
    accuracy: float  # the share of held-out examples that are told apart

    def move(self, latents: np.ndarray, amount: float, scale: np.ndarray) -> np.ndarray:
        """Move unscaled latents (n, d_z); `amount` 1 is the whole gap between the two kinds."""
        return latents + np.float32(amount * self.gap) * self.unit / scale


def find_direction(
    with_latents: np.ndarray, without_latents: np.ndarray, scale: np.ndarray
) -> Direction:
    """Find the `Direction` between two kinds of images by logistic regression.

    Input: unscaled latents (n, d_z) and (m, d_z) of example images, scale (d_z,). The classifier
    sees scaled latents, in which uninformative elements are small. Raises UserError for too few
    examples, and if the two kinds are equal.
    """
    for option, latents in (("--with", with_latents), ("--without", without_latents)):
        if len(latents) < LEAST_EXAMPLES:
            raise UserError(
                f"{option}: a direction takes {LEAST_EXAMPLES} or more example images of a kind. "
                f"Received: {len(latents)}"
            )
    scaled = np.concatenate([with_latents, without_latents]) * scale  # (n + m, d_z)
    is_with = np.repeat([True, False], [len(with_latents), len(without_latents)])
    classifier = LogisticRegression(class_weight="balanced", max_iter=1000)
    accuracy = cross_val_score(classifier, scaled, is_with, cv=_FOLDS, scoring="balanced_accuracy")
    normal = classifier.fit(scaled, is_with).coef_[0]
    if not np.any(normal):
        raise UserError("--with and --without: the two kinds of images have the same latents")
    unit = np.float32(normal / np.linalg.norm(normal))
    gap = scaled[is_with].mean(axis=0) - scaled[~is_with].mean(axis=0)
    return Direction(unit, float(gap @ unit), float(np.mean(accuracy)))


def set_elements(latents: np.ndarray, changes: Mapping[int, float]) -> np.ndarray:
    """Copy latents (n, d_z) and set elements of the copy, {index: value}."""
    changed = latents.copy()
    for index, value in changes.items():
        changed[:, index] = value
    return changed


def draw_edits(
    trained: TrainedRun, images: np.ndarray, latents: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(sheet, edited images) of images (n, height, width, 3).

    `latents` (n, d_z) are the images' own, `targets` (n, d_z) the edited ones. A row of the sheet
    shows the image, its reconstruction, and four steps on the way to the target.
    """
    shares = np.linspace(0.0, 1.0, _EDIT_STEPS + 1, dtype=np.float32)
    steps = [trained.generate(latents + share * (targets - latents)) for share in shares]
    return tile(alternate(images, *steps), columns=len(steps) + 1), steps[-1]


def frames_between(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Latents (1, frames, d_z) on the straight line between two latents (d_z,)."""
    shares = np.linspace(0.0, 1.0, _frame_count(), dtype=np.float32)[:, None]
    return (first + shares * (last - first))[None]


def frames_along(latents: np.ndarray, elements: Sequence[int], limit: float) -> np.ndarray:
    """Latents (rows, frames, d_z): in each row one element goes from -limit to limit.

    With one of `elements` there is a row for each of `latents` (n, d_z); with several, a row for
    each element, all from the first latent (Figure 17). Raises UserError for too many rows.
    """
    rows = [(latents, elements[0])]
    if len(elements) > 1:
        rows = [(latents[:1], element) for element in elements]
    count = sum(len(z) for z, _ in rows)
    if count > MOST_ROWS:
        raise UserError(f"a sheet has at most {MOST_ROWS} rows. Received: {count}")
    frames = [vary_element(z, element, limit, _frame_count()) for z, element in rows]
    return np.concatenate(frames).reshape(-1, _frame_count(), latents.shape[1])


def _frame_count() -> int:
    return _FRAMES_PER_COLUMN * (COLUMNS - 1) + 1


def draw_frames(trained: TrainedRun, frames: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """(sheet, pictures of an animation) of latents (rows, frames, d_z), all uint8 images.

    The sheet has 8 frames of each row side by side. In the animation each row is one moving tile.
    """
    animation, in_sheet, columns = [], [], min(len(frames), COLUMNS)
    for frame in range(frames.shape[1]):
        images = trained.generate(frames[:, frame])
        animation.append(tile(images, columns))
        if frame % _FRAMES_PER_COLUMN == 0:
            in_sheet.append(images)
    return tile(alternate(*in_sheet), columns=len(in_sheet)), animation
