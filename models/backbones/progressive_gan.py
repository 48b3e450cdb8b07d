"""Progressive GAN (Karras et al. 2018; github.com/tkarras/progressive_growing_of_gans).

See `build_networks`. All kernels have He's gain sqrt(2), where nothing else is said. Weights are in
layouts of our own: the authors' kernels of convolutions that double the size fit as they are, their
dense kernels at 4x4 count channels before pixels.
"""

from functools import partial

import keras
from keras import KerasTensor

from config.backbones.karras import ProgressiveGanConfig
from models.backbones.growing_discriminator import build_discriminator
from models.backbones.growth import GAIN, GrowingNetworks, LevelOfDetail, fade_images
from models.backbones.heads import FIRST_SIZE
from models.layers import Bias, EqualizedConv2D, EqualizedDense
from models.normalisation import PixelNorm
from models.resampling import Resample2x


def build_networks(
    latent_dim: int,
    resolution: int,
    model: ProgressiveGanConfig,
    log_variance: bool = False,
    dtype: str = "float32",
) -> GrowingNetworks:
    """A generator with pixel norm, and a discriminator with the encoder inside, which grow.

    There is no mapper: `synthesis` takes scaled latents.
    """
    detail = LevelOfDetail(dtype="float32", name="lod")
    synthesis = _build_synthesis(latent_dim, resolution, model, detail, dtype)
    discriminator = build_discriminator(
        latent_dim, resolution, model, detail, log_variance=log_variance, dtype=dtype
    )
    return GrowingNetworks(None, synthesis, discriminator)


def _build_synthesis(
    latent_dim: int,
    resolution: int,
    model: ProgressiveGanConfig,
    detail: LevelOfDetail,
    dtype: str,
) -> keras.Model:
    """At 4x4 a dense layer and a convolution, then two convolutions a size.

    Each is followed by its bias, leaky ReLU and pixel norm.

    Input: scaled latents (batch, latent_dim). Output: for each stage, that with all layers first,
    RGB images (batch, resolution, resolution, 3), neither squashed nor clipped.
    """
    leaky = {"activation": "leaky_relu", "gain": GAIN, "dtype": dtype}
    to_rgb = partial(EqualizedConv2D, 3, 1, gain=1.0, dtype="float32")

    def normalise(feature_maps: KerasTensor, name: str) -> KerasTensor:
        return PixelNorm(dtype=dtype, name=f"{name}_norm")(feature_maps)

    latents = features = keras.Input((latent_dim,), name="scaled_latents")
    if model.normalize_latents:
        features = PixelNorm(dtype="float32", name="normalize")(features)
    size = FIRST_SIZE
    shape = (size, size, model.channels(size))
    dense = EqualizedDense(
        size * size * shape[-1], use_bias=False, gain=GAIN / 4, dtype=dtype, name=f"{size}_dense"
    )
    feature_maps = keras.layers.Reshape(shape, dtype=dtype, name="reshape")(dense(features))
    feature_maps = Bias(leaky=True, dtype=dtype, name=f"{size}_bias")(feature_maps)
    feature_maps = normalise(feature_maps, f"{size}_dense")
    images = []
    while True:
        convolution = EqualizedConv2D(model.channels(size), 3, name=f"{size}_conv", **leaky)
        feature_maps = normalise(convolution(feature_maps), f"{size}_conv")
        if model.grow or size == resolution:
            images.append(to_rgb(name=f"{size}_to_rgb")(feature_maps))
        if size == resolution:
            lod = detail(latents) if model.grow else None
            return keras.Model(latents, fade_images(images, lod), name="synthesis")
        size *= 2
        up = Resample2x(model.channels(size), True, None, name=f"{size}_up", **leaky)
        feature_maps = normalise(up(feature_maps), f"{size}_up")
