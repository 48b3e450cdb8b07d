"""SinGAN: a pyramid of generators; each adds detail to what the coarser ones made.

Shaham, Dekel and Michaeli, "SinGAN: learning a generative model from a single natural image"
(2019). See `Singan`, which makes images; `train.textures.singan_training` trains it.
"""

from collections.abc import Sequence

import keras
import numpy as np
import scipy.ndimage
import tensorflow as tf

from config import UserError
from config.textures.singan import SinganConfig
from models.textures.singan import PADDING, build_generator
from train.textures.method import OnProgress
from train.textures.pyramid import resize

Size = tuple[int, int]  # height and width in pixels


class Singan:
    """Generators, and amplitudes of their noise, of all scales from the coarsest.

    `fixed_noise` is that of the coarsest scale with which they make the exemplar.
    """

    def __init__(
        self,
        config: SinganConfig,
        sizes: Sequence[Size],
        ratio: float,
        seeds: keras.random.SeedGenerator,
    ) -> None:
        if config.start_scale >= len(sizes):
            raise UserError(
                f"start_scale: this image has scales 0 to {len(sizes) - 1}. "
                f"Received: {config.start_scale}"
            )
        self.config = config
        self.sizes = sizes
        self.ratio = ratio
        widths = [config.width_of(scale) for scale in range(len(sizes))]
        self.generators = [build_generator(width, seeds) for width in widths]
        self.amplitudes = tf.Variable(tf.ones(len(sizes)))
        self.fixed_noise = tf.Variable(tf.zeros((*sizes[0], 3)))
        self._run = [tf.function(generator, reduce_retracing=True) for generator in self.generators]

    def draw_noise(self, scale: int, size: Size, generator: np.random.Generator) -> np.ndarray:
        """N(0, 1), (height, width, 3): the same in all channels at the coarsest scale."""
        noise = generator.standard_normal((*size, 3 if scale else 1), np.float32)
        return np.broadcast_to(noise, (*size, 3))

    def generate(
        self, scale: int, noise: np.ndarray, coarser: np.ndarray | None, tile: bool = False
    ) -> np.ndarray:
        """The image of a scale, as large as its noise; with `tile`, it repeats if `coarser` does.

        `coarser` is the image of the scale below; the coarsest has none.
        """
        previous = self.enlarge(coarser, noise.shape[:2], tile)
        inputs = [pad(self.amplitudes[scale].numpy() * noise, tile), previous]
        return self._run[scale]([x[None] for x in inputs], training=False)[0].numpy()

    def enlarge(self, coarser: np.ndarray | None, size: Size, tile: bool = False) -> np.ndarray:
        """What a scale's generator takes of the coarser image: (height + 10, width + 10, 3).

        The rounded sizes of a sample may ask for more than the ratio gives; then it is stretched.
        """
        if coarser is None:
            return pad(np.zeros((*size, 3), np.float32))
        if tile:
            return pad(resize(coarser, period=size), tile)
        padded = pad(resize(coarser, 1.0 / self.ratio)[: size[0], : size[1]])
        return stretch(padded, (size[0] + 2 * PADDING, size[1] + 2 * PADDING))

    def reconstruct(self, scales: int) -> np.ndarray | None:
        """What the coarsest `scales` scales make of the exemplar: (height, width, 3); None of 0."""
        fixed_noise = self.fixed_noise.numpy()
        zeros = [np.zeros((*size, 3), np.float32) for size in self.sizes[1:scales]]
        return self._generate_all([fixed_noise, *zeros][:scales])

    def draw(self, scales: int, generator: np.random.Generator) -> np.ndarray | None:
        """A random image of the coarsest `scales` scales, as large as the exemplar; None of 0."""
        sizes = enumerate(self.sizes[:scales])
        return self._generate_all([self.draw_noise(*each, generator) for each in sizes])

    def _generate_all(self, noises: Sequence[np.ndarray]) -> np.ndarray | None:
        """The image of the last of some scales, each with its noise."""
        image = None
        for scale, noise in enumerate(noises):
            image = self.generate(scale, noise, image)
        return image

    def sample(
        self, height: int, width: int, seed: int, tile: bool, on_progress: OnProgress
    ) -> np.ndarray:
        """An image (height, width, 3) with values about [0, 1]; with `tile`, one that repeats.

        Scales below `start_scale` reconstruct the exemplar, whose layout is then stretched.
        """
        generator = np.random.default_rng(seed)
        start = self.config.start_scale
        image = self.reconstruct(start)
        if start:
            image = stretch(image, self._size_of(start - 1, (height, width)))
        for scale in range(start, len(self.sizes)):
            noise = self.draw_noise(scale, self._size_of(scale, (height, width)), generator)
            image = self.generate(scale, noise, image, tile)
            on_progress(scale + 1, len(self.sizes))
        return 0.5 + 0.5 * image

    def _size_of(self, scale: int, finest: Size) -> Size:
        """The size at a scale of a sample that is as large as `finest` at the last one."""
        sides = zip(finest, self.sizes[-1], self.sizes[scale], strict=True)
        height, width = (max(1, round(wanted / side * here)) for wanted, side, here in sides)
        return height, width

    def arrays(self) -> dict[str, np.ndarray]:
        """What `restore` takes."""
        arrays = {
            "sizes": np.array(self.sizes),
            "ratio": np.array(self.ratio),
            "amplitudes": self.amplitudes.numpy(),
            "fixed_noise": self.fixed_noise.numpy(),
        }
        for scale, generator in enumerate(self.generators):
            arrays |= {f"scale_{scale}_{i}": x for i, x in enumerate(generator.get_weights())}
        return arrays


def pad(image: np.ndarray, tile: bool = False) -> np.ndarray:
    """(height + 10, width + 10, 3) with zeros, or with `tile` the other edges, around an image."""
    borders = ((PADDING, PADDING), (PADDING, PADDING), (0, 0))
    return np.pad(image, borders, "wrap" if tile else "constant")


def stretch(image: np.ndarray, size: Size) -> np.ndarray:
    """An image (height, width, 3) scaled bilinearly so that its corners stay corners."""
    if image.shape[:2] == size:
        return image
    factors = [new / old for new, old in zip(size, image.shape[:2], strict=True)]
    return scipy.ndimage.zoom(image, (*factors, 1), order=1)


def restore(config: SinganConfig, arrays: dict[str, np.ndarray]) -> Singan:
    """The model of what its `arrays` returned."""
    sizes = [tuple(size) for size in arrays["sizes"].tolist()]
    model = Singan(config, sizes, float(arrays["ratio"]), keras.random.SeedGenerator(0))
    model.amplitudes.assign(arrays["amplitudes"])
    model.fixed_noise.assign(arrays["fixed_noise"])
    for scale, generator in enumerate(model.generators):
        count = len(generator.weights)
        generator.set_weights([arrays[f"scale_{scale}_{i}"] for i in range(count)])
    return model
