"""Move latents: element by element, from one to another, along a direction. See `Direction`."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from config import UserError
from evaluate.sheets import COLUMNS, alternate, tile, vary_element
from evaluate.trained_run import TrainedRun

MOST_ROWS = 64  # of a sheet: image files cannot be of any size
LARGEST_VALUE = 1000  # of a latent element, far beyond what a prior gives
LEAST_EXAMPLES = 10  # images of each kind, to find a direction
_FOLDS = 5
_FRAMES_PER_COLUMN = 4  # of an animation, from one column of the sheet to the next
_MILLISECONDS_PER_FRAME = 60
_EDIT_STEPS = 4


def parse_elements(text: str, trained: TrainedRun, by_rank: bool = False) -> list[int]:
    """Indices of latent elements from a text such as 3, 1-8 or 0,5,7.

    With `by_rank` the text has ranks by importance instead, from 1. Raises UserError for any other
    text, and for an element that does not exist.
    """
    numbers = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not match:
            raise UserError(f"elements are given as 3, 1-8 or 0,5,7. Received: {text}")
        first, last = int(match[1]), int(match[2] or match[1])
        require_element(first, trained, by_rank)
        require_element(last, trained, by_rank)
        if first > last:
            raise UserError(f"a range goes upwards. Received: {text}")
        numbers += range(first, last + 1)
    return [_to_index(number, trained, by_rank) for number in numbers]


def parse_assignment(text: str, trained: TrainedRun, by_rank: bool = False) -> tuple[int, float]:
    """(index of a latent element, value) from a text such as 3=1.5, see `parse_elements`."""
    left, _, right = text.partition("=")
    try:
        number, value = int(left), float(right)
        if not abs(value) <= LARGEST_VALUE:
            raise ValueError
    except ValueError as error:
        raise UserError(
            "a change is given as ELEMENT=VALUE, such as 3=1.5, with a value from "
            f"-{LARGEST_VALUE} to {LARGEST_VALUE}. Received: {text}"
        ) from error
    require_element(number, trained, by_rank)
    return _to_index(number, trained, by_rank), value


def require_element(number: int, trained: TrainedRun, by_rank: bool = False) -> None:
    """Raise UserError if no latent element has this index, or this rank, which counts from 1."""
    first = 1 if by_rank else 0
    last = first + len(trained.scale) - 1
    if not first <= number <= last:
        kind = "rank" if by_rank else "element"
        raise UserError(f"there is no {kind} {number}: use {first} to {last}")


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


def set_elements(latents: np.ndarray, changes: Iterable[tuple[int, float]]) -> np.ndarray:
    """Copy latents (n, d_z) and set elements of the copy: `changes` are (index, value) each."""
    changed = latents.copy()
    for index, value in changes:
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


def save_animation(path: Path, pictures: Sequence[np.ndarray]) -> None:
    """Write uint8 images (height, width, 3) as a GIF or WebP that plays back and forth for ever."""
    first, *others = map(Image.fromarray, [*pictures, *pictures[-2:0:-1]])
    first.save(path, save_all=True, append_images=others, duration=_MILLISECONDS_PER_FRAME, loop=0)
