"""GOTEX: an image, or a network that makes images, whose patches follow an exemplar's law.

Houdard, Leclaire, Papadakis and Rabin, "A generative model for texture synthesis based on optimal
transport between feature distributions" (2021). The loss is the optimal transport cost between the
patches (or a network's features) of the synthesis and of the exemplar, at several scales. Its dual
potentials and the image improve in turns, see `train.textures.gotex_optimisation`.
"""

from functools import partial

import numpy as np
import tensorflow as tf

from config.textures.gotex import GotexConfig
from models.textures.gotex import build_generator, coarsest_sides, noise_sizes
from train.textures.gotex_features import Features, network_features, patch_features
from train.textures.gotex_optimisation import Optimisation
from train.textures.method import Method, OnProgress
from train.textures.unfinished import Unfinished


class GotexImage:
    """Targets of the exemplar; `sample` optimises the pixels of an image, which takes its time.

    Of a network's features, `scales` are what each layer's are divided by.
    """

    def __init__(self, config: GotexConfig, targets: list[np.ndarray], scales: list[float]) -> None:
        self.config = config
        self.targets = targets
        self.scales = scales

    def sample(
        self, height: int, width: int, seed: int, tile: bool, on_progress: OnProgress
    ) -> np.ndarray:
        """An image (height, width, 3) with values about [0, 1]. Compared by patches, it repeats."""
        start = np.random.default_rng(seed).random((1, height, width, 3), np.float32)
        image = tf.Variable(start)
        extract = _choose_features(self.config)
        optimisation = Optimisation(
            lambda noises: image.value(),
            [image],
            lambda x: _divide(extract(x, True), self.scales),
            self.targets,
            self.config,
        )
        optimisation.run(lambda generator: [], seed, on_progress)
        return image.numpy()[0]

    def arrays(self) -> dict[str, np.ndarray]:
        targets = {f"targets_{i}": x for i, x in enumerate(self.targets)}
        return targets | {"scales": np.array(self.scales)}


class GotexNetwork:
    """A trained generator: `sample` runs it on noise."""

    def __init__(
        self, config: GotexConfig, weights: list[np.ndarray] | None = None, seed: int = 0
    ) -> None:
        self.config = config
        self.generator = build_generator(config.levels, seed)
        if weights is not None:
            self.generator.set_weights(weights)

    def sample(
        self, height: int, width: int, seed: int, tile: bool, on_progress: OnProgress
    ) -> np.ndarray:
        """An image (height, width, 3) with values about [0, 1]; with `tile`, one that repeats."""
        levels = self.config.levels
        sides = coarsest_sides(levels, (height, width))
        if tile:
            sides = [side // 2**levels for side in (height, width)]
        noises = draw_noises(levels, *sides, np.random.default_rng(seed), tile)
        image = self.generator(noises)[0, :height, :width].numpy()
        on_progress(1, 1)
        return image

    def arrays(self) -> dict[str, np.ndarray]:
        return {f"weight_{i}": x for i, x in enumerate(self.generator.get_weights())}


def draw_noises(
    levels: int, rows: int, columns: int, generator: np.random.Generator, is_periodic: bool = False
) -> list[np.ndarray]:
    """U(0, 1) noise (1, height, width, 3) of each level; where it repeats, so does the image."""
    noises = []
    for level, (height, width) in enumerate(noise_sizes(levels, rows, columns)):
        period = (2**level * rows, 2**level * columns) if is_periodic else (height, width)
        noise = generator.random((1, *period, 3), np.float32)
        beyond = ((0, 0), (0, height - period[0]), (0, width - period[1]), (0, 0))
        noises.append(np.pad(noise, beyond, mode="wrap"))
    return noises


def fit(
    exemplar: np.ndarray,
    config: GotexConfig,
    seed: int,
    on_progress: OnProgress,
    unfinished: Unfinished | None,
) -> GotexImage | GotexNetwork:
    """Choose the targets; the form `network` then trains its generator.

    Input: an image (height, width, 3) in [0, 1].
    """
    image = tf.constant(exemplar[None], tf.float32)
    vectors = [x.numpy() for x in _choose_features(config)(image, False)]
    scales = [1.0] * len(vectors)
    if config.features != "patches":  # and the cost is |x - y|^2 / 2
        scales = [float(np.sqrt(2.0 * np.mean(np.square(x)))) or 1.0 for x in vectors]
    generator = np.random.default_rng(seed)
    targets = [
        generator.permutation(x)[: config.target_patches] / np.float32(scale)
        for x, scale in zip(vectors, scales, strict=True)
    ]
    if config.form == "image":
        return GotexImage(config, targets, scales)
    return _train_network(exemplar.shape[:2], config, targets, seed, on_progress, unfinished)


def _train_network(
    size: tuple[int, int],
    config: GotexConfig,
    targets: list[np.ndarray],
    seed: int,
    on_progress: OnProgress,
    unfinished: Unfinished | None,
) -> GotexNetwork:
    """A generator trained with images that cover the exemplar's size."""
    network = GotexNetwork(config, seed=seed)
    extract = _choose_features(config)
    optimisation = Optimisation(
        network.generator,
        network.generator.trainable_variables,
        lambda x: extract(x, False),
        targets,
        config,
    )
    draw = partial(draw_noises, config.levels, *coarsest_sides(config.levels, size))
    optimisation.run(draw, seed, on_progress, unfinished)
    return network


def restore(config: GotexConfig, arrays: dict[str, np.ndarray]) -> GotexImage | GotexNetwork:
    """The model of what its `arrays` returned."""
    if config.form == "network":
        return GotexNetwork(config, [arrays[f"weight_{i}"] for i in range(len(arrays))])
    scales = arrays["scales"].tolist()
    return GotexImage(config, [arrays[f"targets_{i}"] for i in range(len(scales))], scales)


def _choose_features(config: GotexConfig) -> Features:
    if config.features == "patches":
        return patch_features(config.patch_size, config.scales)
    return network_features(config.features, config.layers)


def _divide(vectors: list[tf.Tensor], scales: list[float]) -> list[tf.Tensor]:
    return [x / scale for x, scale in zip(vectors, scales, strict=True)]


METHOD = Method(fit, restore)
