"""Texto: patches of a Gaussian field moved to an image's patches, scale by scale.

Leclaire and Rabin, "A stochastic multi-layer algorithm for semi-discrete optimal transport with
applications to texture synthesis and style transfer" (2021). From the coarsest scale on, each patch
of the synthesis is replaced by the exemplar's patch that an optimal transport map assigns to it.
Overlapping patches are averaged; their counterparts of twice the size begin the next scale. See
`estimate`.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import scipy.ndimage
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from config.textures.texto import TextoConfig
from train.textures.gaussian_field import compute_texton, draw_field, patch_covariance
from train.textures.method import Method, OnProgress
from train.textures.optimal_transport import assign, stochastic_ascent
from train.textures.patches import average_patches, extract_patches
from train.textures.unfinished import Unfinished

_DRAWN_AT_ONCE = 1000
_ASSIGNED_AT_ONCE = 2**16


class Scale(NamedTuple):
    """The map of one scale: m patches of the exemplar and their potentials.

    `doubled` are the patches at the same places of the exemplar at twice the size, in float64 as
    all of it. The finest scale has none.
    """

    targets: np.ndarray  # (m, size * size * 3)
    potentials: np.ndarray  # (m,)
    doubled: np.ndarray | None  # (m, 2 size, 2 size, 3)


class Texto:
    """An estimated model: `sample` makes images. `scales` begin with the finest."""

    def __init__(
        self, config: TextoConfig, mean: np.ndarray, texton: np.ndarray, scales: list[Scale]
    ) -> None:
        self.config = config
        self.mean = mean
        self.texton = texton
        self.scales = scales

    def sample(
        self,
        height: int,
        width: int,
        seed: int,
        tile: bool = False,
        on_progress: OnProgress = lambda done, total: None,
    ) -> np.ndarray:
        """An image (height, width, 3) with values about [0, 1]; with `tile`, one that repeats."""
        factor = 2 ** (self.config.scales - 1)
        size = -(-height // factor), -(-width // factor)
        generator = np.random.default_rng(seed)
        field = draw_field(self.mean, self.texton, *size, generator, tile)
        return self.refine(field, height, width, tile, on_progress)

    def refine(
        self,
        image: np.ndarray,
        height: int,
        width: int,
        tile: bool = False,
        on_progress: OnProgress = lambda done, total: None,
    ) -> np.ndarray:
        """The synthesis (height, width, 3) from a Gaussian field at the coarsest scale."""
        for number in range(self.config.scales - 1, -1, -1):
            scale = self.scales[number]
            chosen = choose_patches(image, scale, self.config.patch_size, tile)
            if number:
                image = begin_scale(chosen, scale, number - 1, (height, width), tile)
            on_progress(self.config.scales - number, self.config.scales)
        return average_patches(chosen, self._unfold(scale.targets), 1, tile)

    def _unfold(self, targets: np.ndarray) -> np.ndarray:
        return targets.reshape(-1, self.config.patch_size, self.config.patch_size, 3)

    def arrays(self) -> dict[str, np.ndarray]:
        """What `restore` takes."""
        arrays = {"mean": self.mean, "texton": self.texton}
        for number, scale in enumerate(self.scales):
            for name, value in scale._asdict().items():
                if value is not None:
                    arrays[f"scale_{number}_{name}"] = value
        return arrays


def restore(config: TextoConfig, arrays: dict[str, np.ndarray]) -> Texto:
    """The model of what `Texto.arrays` returned."""
    scales = [
        Scale(*(arrays.get(f"scale_{number}_{name}") for name in Scale._fields))
        for number in range(config.scales)
    ]
    return Texto(config, arrays["mean"], arrays["texton"], scales)


def estimate(
    exemplar: np.ndarray,
    config: TextoConfig,
    seed: int,
    on_progress: OnProgress,
    _: Unfinished | None = None,
) -> Texto:
    """Estimate the maps of all scales on one synthesis of the exemplar's size.

    Input: an image (height, width, 3) in [0, 1].
    """
    generator = np.random.default_rng(seed)
    mean, texton = compute_texton(resize_to_scale(exemplar, config.scales - 1))
    image = draw_field(mean, texton, *texton.shape[:2], generator)
    law = _gaussian_law(mean, texton, config.patch_size)
    scales: list[Scale] = []
    total = config.scales * config.steps
    for number in range(config.scales - 1, -1, -1):
        done = len(scales) * config.steps
        draws = _count_draws(law, config.steps, generator, done, total, on_progress)
        targets, doubled = choose_targets(exemplar, number, config, generator)
        uniform = np.full(len(targets), 1.0 / len(targets))
        potentials = stochastic_ascent(draws, targets, config.step_size, uniform)
        scales.append(Scale(targets, potentials, doubled))
        if number:
            chosen = choose_patches(image, scales[-1], config.patch_size)
            image = begin_scale(chosen, scales[-1], number - 1, exemplar.shape[:2])
            law = _mixture_law(image, config, generator)
    return Texto(config, mean, texton, scales[::-1])


def resize_to_scale(exemplar: np.ndarray, number: int, times: int = 1) -> np.ndarray:
    """The exemplar at a scale, its sides divided by 2^number, rounded up, and then `times` as long.

    A cubic spline with mirrored borders, without antialiasing.
    """
    sizes = [times * -(-n // 2**number) for n in exemplar.shape[:2]]
    factors = [size / n for size, n in zip(sizes, exemplar.shape[:2], strict=True)]
    return scipy.ndimage.zoom(exemplar, (*factors, 1), order=3, mode="reflect", grid_mode=True)


def choose_patches(
    image: np.ndarray, scale: Scale, size: int, is_periodic: bool = False
) -> np.ndarray:
    """The index of the target that each patch of an image is moved to: int64 (rows, columns)."""
    if is_periodic:
        image = np.pad(image, ((0, size - 1), (0, size - 1), (0, 0)), mode="wrap")
    rows = max(1, _ASSIGNED_AT_ONCE // image.shape[1])
    chosen = []
    for top in range(0, len(image) - size + 1, rows):
        patches = extract_patches(image[top : top + rows + size - 1], size)
        points = patches.reshape(-1, patches.shape[-1])
        found = assign(points, scale.targets, scale.potentials).numpy()
        chosen.append(found.reshape(patches.shape[:2]))
    return np.concatenate(chosen)


def begin_scale(
    chosen: np.ndarray,
    coarser: Scale,
    number: int,
    size: tuple[int, int],
    is_periodic: bool = False,
) -> np.ndarray:
    """The image with which a scale begins, from the patches chosen at the coarser one.

    `size` (height, width) is that of the finest scale.
    """
    height, width = (-(-side // 2**number) for side in size)
    return average_patches(chosen, coarser.doubled, 2, is_periodic)[:height, :width]


def choose_targets(
    exemplar: np.ndarray, number: int, config: TextoConfig, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """(random patches of the exemplar at a scale, their doubles; None at the finest scale)."""
    size = config.patch_size
    patches = extract_patches(resize_to_scale(exemplar, number), size)
    places = generator.permutation(patches.shape[0] * patches.shape[1])[: config.patches]
    targets = patches.reshape(-1, patches.shape[-1])[places]
    if number == 0:
        return targets, None
    doubled = extract_patches(resize_to_scale(exemplar, number, times=2), 2 * size)[::2, ::2]
    return targets, doubled.reshape(-1, 2 * size, 2 * size, 3)[places]


# The law of the patches of a synthesis: (how many, random numbers) -> samples (n, d).
Law = Callable[[int, np.random.Generator], np.ndarray]


def _gaussian_law(mean: np.ndarray, texton: np.ndarray, size: int) -> Law:
    """Of the Gaussian field."""
    values, vectors = np.linalg.eigh(patch_covariance(texton, size))
    factor = vectors * np.sqrt(np.maximum(values, 0.0))  # factor @ factor.T is the covariance
    means = np.tile(mean, size * size)
    return lambda count, generator: (
        means + generator.standard_normal((count, len(means))) @ factor.T
    )


def _mixture_law(image: np.ndarray, config: TextoConfig, generator: np.random.Generator) -> Law:
    """A Gaussian mixture of an image's patches."""
    patches = extract_patches(image, config.patch_size)
    points = patches.reshape(-1, patches.shape[-1])
    components = min(config.components, len(points))
    mixture = GaussianMixture(components, random_state=int(generator.integers(2**31)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # any mixture near the patches will do
        mixture.fit(points)
    factors = np.linalg.cholesky(mixture.covariances_)

    def draw(count: int, generator: np.random.Generator) -> np.ndarray:
        kinds = generator.choice(components, count, p=mixture.weights_)
        normal = generator.standard_normal((count, points.shape[1]))
        return mixture.means_[kinds] + np.einsum("nij,nj->ni", factors[kinds], normal)

    return draw


def _count_draws(
    law: Law,
    steps: int,
    generator: np.random.Generator,
    done: int,
    total: int,
    on_progress: OnProgress,
) -> Iterator[np.ndarray]:
    """Blocks of samples, `steps` in all; tells `on_progress` of each."""
    for start in range(0, steps, _DRAWN_AT_ONCE):
        yield law(min(_DRAWN_AT_ONCE, steps - start), generator)
        on_progress(done + min(start + _DRAWN_AT_ONCE, steps), total)


METHOD = Method(estimate, restore)
