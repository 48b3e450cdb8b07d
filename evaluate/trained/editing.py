"""Moving latents: element by element, between two, along a direction. See `Direction`."""

import re
from typing import NamedTuple

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from config import UserError
from evaluate.sheets import COLUMNS, alternate, tile, vary_element

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
        numbers += range(first, last + 1) if last < 10**6 else [last]
    return [_element(number, trained, by_rank) for number in numbers]


def parse_assignment(text, trained, by_rank=False):
    """(index of a latent element, value) from a text such as 3=1.5, see `parse_elements`."""
    left, _, right = text.partition("=")
    try:
        value = float(right)
        if not (left.strip().isdigit() and np.isfinite(value)):
            raise ValueError
    except ValueError as error:
        raise UserError(f"a change is given as ELEMENT=VALUE, 3=1.5. Received: {text}") from error
    return _element(int(left), trained, by_rank), value


def _element(number, trained, by_rank):
    first = 1 if by_rank else 0
    last = first + len(trained.scale) - 1
    if not first <= number <= last:
        what = "rank" if by_rank else "element"
        raise UserError(f"there is no {what} {number}: use {first} to {last}")
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
    latents, in which elements that say little are small. Raises UserError for too few examples.
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
    element and the first latent (Figure 17).
    """
    rows = [(latents, elements[0])]
    if len(elements) > 1:
        rows = [(latents[:1], element) for element in elements]
    frames = [vary_element(z, element, limit, _frame_count()) for z, element in rows]
    return np.concatenate(frames).reshape(-1, _frame_count(), latents.shape[1])


def _frame_count():
    return _FRAMES_A_COLUMN * (COLUMNS - 1) + 1


def draw_frames(trained, frames):
    """(sheet, animation) of latents (rows, frames, d_z): uint8 images, and a list of them.

    The sheet has 8 of the frames side by side; in the animation each row is one moving tile.
    """
    images = trained.generate(frames.reshape(-1, frames.shape[-1]))
    images = images.reshape(*frames.shape[:2], *images.shape[1:])
    in_sheet = images[:, ::_FRAMES_A_COLUMN]
    sheet = tile(in_sheet.reshape(-1, *images.shape[2:]), columns=in_sheet.shape[1])
    columns = min(len(images), COLUMNS)
    return sheet, [tile(images[:, frame], columns) for frame in range(images.shape[1])]


def save_animation(path, pictures):
    """Write uint8 images (height, width, 3) as a GIF or WebP that goes forth and back for ever."""
    first, *others = map(Image.fromarray, [*pictures, *pictures[-2:0:-1]])
    first.save(path, save_all=True, append_images=others, duration=_MILLISECONDS_A_FRAME, loop=0)
