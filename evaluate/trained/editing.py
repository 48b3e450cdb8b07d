"""Moving latents: element by element, between two, along a direction. See `Direction`."""

import re
from typing import NamedTuple

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from config import UserError
from evaluate.sheets import COLUMNS, alternate, tile, vary_element

MOST_ROWS = 64  # of a sheet: files of images have a largest size
MOST = 1000  # of a latent element, far beyond what a prior gives
LEAST_EXAMPLES = 10  # images of a kind, to find a direction
_FOLDS = 5
_FRAMES_A_COLUMN = 4  # of an animation, from one column of the sheet to the next
_MILLISECONDS_A_FRAME = 60
_EDIT_STEPS = 4


def parse_elements(text, trained, by_rank=False):
    """Indices of latent elements from a text such as 3, 1-8 or 0,5,7.

    With `by_rank` they count by importance, from 1. Raises UserError for anything else, and out of
    range.
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
    return [_index(number, trained, by_rank) for number in numbers]


def parse_assignment(text, trained, by_rank=False):
    """(index of a latent element, value) from a text such as 3=1.5, see `parse_elements`."""
    left, _, right = text.partition("=")
    try:
        number, value = int(left), float(right)
        if not abs(value) <= MOST:
            raise ValueError
    except ValueError as error:
        raise UserError(
            f"a change is given as ELEMENT=VALUE, 3=1.5, of values up to {MOST}. Received: {text}"
        ) from error
    require_element(number, trained, by_rank)
    return _index(number, trained, by_rank), value


def require_element(number, trained, by_rank=False):
    """Raise UserError for an index, or a rank from 1, that no latent element has."""
    first = 1 if by_rank else 0
    last = first + len(trained.scale) - 1
    if not first <= number <= last:
        what = "rank" if by_rank else "element"
        raise UserError(f"there is no {what} {number}: use {first} to {last}")


def _index(number, trained, by_rank):
    return int(trained.elements_by_importance[number - 1]) if by_rank else number


class Direction(NamedTuple):
    """From images without something to images with it, among scaled latents z∘s."""

    unit: np.ndarray  # (d_z,), of length 1
    gap: float  # between the means of the two kinds of examples, along `unit`
    accuracy: float  # of telling held-out examples apart

    def move(self, latents, amount, scale):
        """Unscaled latents (n, d_z), moved: by 1, as far as one kind lies from the other."""
        return latents + np.float32(amount * self.gap) * self.unit / scale


def find_direction(with_latents, without_latents, scale):
    """The `Direction` that a linear classifier, logistic regression, finds between two kinds.

    Input: unscaled latents (n, d_z) and (m, d_z) of example images. It is found among scaled
    latents, in which elements that say little are small. Raises UserError for too few examples, or
    equal ones.
    """
    for option, latents in (("--with", with_latents), ("--without", without_latents)):
        if len(latents) < LEAST_EXAMPLES:
            raise UserError(
                f"{option}: a direction takes {LEAST_EXAMPLES} or more example images of a kind. "
                f"Received: {len(latents)}"
            )
    scaled = np.concatenate([with_latents, without_latents]) * scale
    is_with = np.repeat([True, False], [len(with_latents), len(without_latents)])
    classifier = LogisticRegression(class_weight="balanced", max_iter=1000)
    accuracy = cross_val_score(classifier, scaled, is_with, cv=_FOLDS, scoring="balanced_accuracy")
    normal = classifier.fit(scaled, is_with).coef_[0]
    if not np.any(normal):
        raise UserError("--with and --without: the two kinds of images have the same latents")
    unit = np.float32(normal / np.linalg.norm(normal))
    gap = scaled[is_with].mean(axis=0) - scaled[~is_with].mean(axis=0)
    return Direction(unit, float(gap @ unit), float(np.mean(accuracy)))


def set_elements(latents, changes):
    """Latents (n, d_z) with the elements of `changes`, (index, value) each, at these values."""
    changed = latents.copy()
    for index, value in changes:
        changed[:, index] = value
    return changed


def draw_edits(trained, images, latents, targets):
    """(sheet, edited images) of images (n, height, width, 3), their latents and those wanted.

    A row of the sheet: the image, its reconstruction, and four steps of the way to what is wanted.
    """
    shares = np.linspace(0.0, 1.0, _EDIT_STEPS + 1, dtype=np.float32)
    steps = [trained.generate(latents + share * (targets - latents)) for share in shares]
    return tile(alternate(images, *steps), columns=len(steps) + 1), steps[-1]


def frames_between(first, last):
    """Latents (1, frames, d_z) on the straight line between two latents (d_z,)."""
    shares = np.linspace(0.0, 1.0, _frame_count(), dtype=np.float32)[:, None]
    return (first + shares * (last - first))[None]


def frames_along(latents, elements, limit):
    """Latents (rows, frames, d_z), one element of each row going from -limit to limit.

    With one of `elements`, a row for each of `latents` (n, d_z); with several, a row for each
    element and the first latent (Figure 17). Raises UserError for too many rows.
    """
    rows = [(latents, elements[0])]
    if len(elements) > 1:
        rows = [(latents[:1], element) for element in elements]
    count = sum(len(z) for z, _ in rows)
    if count > MOST_ROWS:
        raise UserError(f"a sheet has at most {MOST_ROWS} rows. Received: {count}")
    frames = [vary_element(z, element, limit, _frame_count()) for z, element in rows]
    return np.concatenate(frames).reshape(-1, _frame_count(), latents.shape[1])


def _frame_count():
    return _FRAMES_A_COLUMN * (COLUMNS - 1) + 1


def draw_frames(trained, frames):
    """(sheet, animation) of latents (rows, frames, d_z): uint8 images, and a list of them.

    The sheet has 8 of the frames side by side; in the animation each row is one moving tile.
    """
    animation, in_sheet, columns = [], [], min(len(frames), COLUMNS)
    for frame in range(frames.shape[1]):
        images = trained.generate(frames[:, frame])
        animation.append(tile(images, columns))
        if frame % _FRAMES_A_COLUMN == 0:
            in_sheet.append(images)
    return tile(alternate(*in_sheet), columns=len(in_sheet)), animation


def save_animation(path, pictures):
    """Write uint8 images (height, width, 3) as a GIF or WebP that goes forth and back for ever."""
    first, *others = map(Image.fromarray, [*pictures, *pictures[-2:0:-1]])
    first.save(path, save_all=True, append_images=others, duration=_MILLISECONDS_A_FRAME, loop=0)
