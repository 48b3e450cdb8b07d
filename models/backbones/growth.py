"""Progressive growing (Karras et al. 2018, section 2): what Progressive GAN and StyleGAN share.

The level of detail, lod, is 0 with all layers; each further level leaves out the layers of the
largest images and halves their size. Between two whole numbers both levels are blended: at 0.7 the
largest images have a share of 0.3. Networks take and give images of the full size at every lod: see
`GrowingNetworks`.
"""

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import keras
from keras import KerasTensor, ops

from models.backbones.heads import FIRST_SIZE, KarrasNetworks
from models.layers import Shape
from models.operations import CHANNELS_LAST

GAIN = math.sqrt(2.0)  # He's
_fixed_stage = contextvars.ContextVar("_fixed_stage", default=None)
double = partial(keras.layers.UpSampling2D, 2, interpolation="nearest", dtype="float32")
halve = partial(keras.layers.AveragePooling2D, 2, dtype="float32")


@keras.saving.register_keras_serializable(package="dlsgan")
class LevelOfDetail(keras.layers.Layer):
    """The lod as a weight that starts at 0 and is not trained. All networks share one such layer.

    Input: any tensor, which it ignores. Output: a scalar.
    """

    def build(self, _: Shape) -> None:
        self.lod = self.add_weight(
            shape=(),
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            name="lod",
        )

    def call(self, _: KerasTensor) -> KerasTensor:
        return ops.convert_to_tensor(self.lod)


@keras.saving.register_keras_serializable(package="dlsgan")
class Fade(keras.layers.Layer):
    """Blend a level's outputs with those of the next: `higher + (lower - higher) * t`.

    t is `lod - level`, kept between 0 and 1.

    Input: two tensors of one shape, and the lod. Output: the same shape.
    """

    def __init__(self, level: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.level = level

    def call(self, higher: KerasTensor, lower: KerasTensor, lod: KerasTensor) -> KerasTensor:
        share = ops.cast(ops.clip(lod - self.level, 0.0, 1.0), higher.dtype)
        return higher + (lower - higher) * share

    def compute_output_shape(
        self, higher_shape: Shape, lower_shape: Shape, lod_shape: Shape
    ) -> Shape:
        return higher_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"level": self.level}


def fade_images(images: Sequence[KerasTensor], lod: KerasTensor | None) -> list[KerasTensor]:
    """The generator's images of each stage, at the full size; the first is that with all layers.

    Input: RGB images of each size, from the smallest to the full one, and the lod; or images of the
    full size alone.
    """
    stages = []
    for level in range(len(images)):
        *smaller, image = images[: len(images) - level]
        if smaller:
            fade = Fade(level, dtype="float32", name=f"{image.shape[1]}_fade")
            image = fade(image, double()(smaller[-1]), lod)
        for _ in range(level):
            image = double()(image)
        stages.append(image)
    return stages


class GrowingNetworks(KarrasNetworks):
    """Networks that grow: their models have outputs for each stage, and one is used at a time.

    `synthesis` and `discriminator` contain all layers; their outputs are those of the stages, that
    with all layers first. Stage k serves the lods from k to below k + 1. `generate_from_styles` and
    `discriminate` choose the stage whenever they run, so that a traced function serves all of them.
    """

    @property
    def lod(self) -> keras.Variable | None:
        """The level of detail, a weight of both models; None if there is one stage alone."""
        layers = self.synthesis.layers
        return next((x.lod for x in layers if isinstance(x, LevelOfDetail)), None)

    def generate_from_styles(self, styles: Any, training: bool = False) -> Any:
        return self._run_stage(self._generators, styles, training)

    def discriminate(self, images: Any, training: bool = False) -> Sequence[Any]:
        return self._run_stage(self._discriminators, images, training)

    def present(self) -> "GrowingNetworks":
        stage = 0 if self.lod is None else int(ops.convert_to_tensor(self.lod))
        return self._replace(
            synthesis=self._generators[stage], discriminator=self._discriminators[stage]
        )

    def for_each_stage(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """TensorFlow takes many times as long to trace a gradient of a choice of the stage."""
        if self.lod is None:
            return function

        def at_stage(stage: int, *arguments: Any) -> Any:
            with fixed_stage(stage):
                return function(*arguments)

        return lambda *arguments: ops.switch(
            self._stage(), [partial(at_stage, k, *arguments) for k in range(len(self._generators))]
        )

    def _stage(self) -> KerasTensor:
        return ops.cast(ops.floor(self.lod), "int32")

    def _run_stage(self, stages: Sequence[keras.Model], inputs: Any, training: bool) -> Any:
        stage = 0 if len(stages) == 1 else _fixed_stage.get()
        if stage is not None:
            return stages[stage](inputs, training=training)
        return ops.switch(self._stage(), [partial(s, training=training) for s in stages], inputs)

    @cached_property
    def _generators(self) -> list[keras.Model]:
        model = self.synthesis
        return [keras.Model(model.input, image, name=model.name) for image in model.outputs]

    @cached_property
    def _discriminators(self) -> list[keras.Model]:
        model = self.discriminator
        heads = len(model.outputs) // len(self.synthesis.outputs)
        return [
            keras.Model(model.input, model.outputs[first : first + heads], name=model.name)
            for first in range(0, len(model.outputs), heads)
        ]


@contextlib.contextmanager
def fixed_stage(stage: int) -> Iterator[None]:
    """Within, growing networks run this stage, whatever their lod is."""
    token = _fixed_stage.set(stage)
    try:
        yield
    finally:
        _fixed_stage.reset(token)


def level_of_detail(
    images_seen: int | KerasTensor, first_lod: int, stage_images: int, fade_images: int
) -> KerasTensor:
    """The lod after so many real images: `first_lod` at first, 0 at last.

    For `stage_images` it stays, for `fade_images` it falls by 1, in turns (Karras et al. 2018,
    appendix A.1): `first_lod - floor(n / cycle) - max(n mod cycle - stage_images, 0) / fade_images`
    with `cycle = stage_images + fade_images`.
    """
    cycle = stage_images + fade_images
    faded = ops.maximum(images_seen % cycle - stage_images, 0)
    share = ops.cast(faded, "float32") / max(fade_images, 1)
    return ops.maximum(first_lod - ops.cast(images_seen // cycle, "float32") - share, 0.0)


def lower_detail(images: KerasTensor, lod: float | KerasTensor) -> KerasTensor:
    """Real images as a generator at this lod could make them (Karras et al. 2018, section 2).

    Their size is halved floor(lod) times by means of 2x2 pixels, they are blended with images of
    half that size, and enlarged again. Input and output: (batch, size, size, channels).
    """

    def at_level(level: int, images: KerasTensor) -> KerasTensor:
        present = _halve(images, level)
        lower = _double(_halve(present, 1), 1)
        share = ops.cast(lod - level, images.dtype)
        return _double(present + (lower - present) * share, level)

    levels = int(math.log2(images.shape[1] // FIRST_SIZE))
    stage = ops.cast(ops.floor(lod), "int32")
    return ops.switch(stage, [partial(at_level, level) for level in range(levels + 1)], images)


def _halve(images: KerasTensor, times: int) -> KerasTensor:
    return ops.average_pool(images, 2**times, strides=2**times, data_format=CHANNELS_LAST)


def _double(images: KerasTensor, times: int) -> KerasTensor:
    return ops.repeat(ops.repeat(images, 2**times, axis=1), 2**times, axis=2)
