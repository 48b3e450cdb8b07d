"""The commands for texture models, behind the options of evaluate/textures/command_line.py."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from config import UserError
from config.loading import to_yaml
from config.textures.base import TextureConfig
from data.exemplars import Crop, Exemplar, make_exemplar, read_exemplar
from data.storage import NewFolder, save_image
from evaluate.features.networks import FeatureNetwork, load_spatial_features
from evaluate.textures.files import read_arrays, write_model
from evaluate.textures.measures import (
    Sample,
    make_references,
    measure_all,
    print_measures,
    to_uint8,
    write_measures,
)
from evaluate.textures.sheet import lay_out
from evaluate.textures.sizes import made_name, require_features, require_size
from train.experiment.display import progress_bar
from train.runtime.failures import shortage_reported
from train.textures.method import TextureModel
from train.textures.methods import METHODS
from train.textures.unfinished import Unfinished

RESULTS = Path("results") / "textures"
_ADVICE = "try a smaller --size"


def make_texture(
    picture: str,
    crop: Sequence[int] | None,
    method: str,
    config: TextureConfig,
    size: tuple[int, int] | None,
    count: int,
    seed: int,
    features_name: str | None,
    out: Path | None,
) -> None:
    """Learn a texture from one image; write the model, samples, a sheet and measures."""
    exemplar = _read(picture, crop, config.longest_side)
    height, width = size or exemplar.image.shape[:2]
    require_size(config, method, exemplar.image.shape[:2], "the image")
    require_size(config, method, (height, width), "the sample")
    features = _load_features(features_name, exemplar.image.shape[:2], (height, width))
    made = NewFolder(out or RESULTS / f"{exemplar.name}_{method}", is_numbered=out is None)
    unfinished = _unfinished(made.path, method, config, seed, exemplar)
    pixels = exemplar.image / 255.0
    with shortage_reported(_ADVICE), made as folder:
        model, seconds = _fit(method, config, pixels, seed, unfinished)
        write_model(folder, method, config, seed, model)
        seeds = range(seed, seed + count)
        samples = _draw(model, (height, width), seeds, False)
        _save(folder, seeds, samples)
        first = Sample(samples[0].image, seconds + samples[0].seconds)
        images = {"exemplar": exemplar.image, f"{method} {height}x{width}": to_uint8(first.image)}
        save_image(folder / "exemplar.png", exemplar.image)
        save_image(folder / "sheet.png", lay_out(images))
        references = make_references(pixels, exemplar.other, seed)
        rows = measure_all(pixels, {method: first} | references, features)
        write_measures(folder / "measures.csv", rows)
    unfinished.remove()
    print_measures(rows)
    print(f"all of it is in {made.path}")


def compare_textures(
    picture: str,
    crop: Sequence[int] | None,
    compared: Mapping[str, tuple[str, TextureConfig]],
    seed: int,
    features_name: str | None,
    out: Path | None,
) -> None:
    """Make a sample of the exemplar's size with each method; write one sheet and one table."""
    configs = [config for _, config in compared.values()]
    longest_side = min(config.longest_side for config in configs)
    exemplar = _read(picture, crop, longest_side)
    size = exemplar.image.shape[:2]
    for method, config in compared.values():
        require_size(config, method, size, "the image")
    features = _load_features(features_name, size, size)
    made = NewFolder(out or RESULTS / f"{exemplar.name}_compare", is_numbered=out is None)
    pixels = exemplar.image / 255.0
    samples, all_unfinished = {}, []
    with shortage_reported(_ADVICE), made as folder:
        for name, (method, config) in compared.items():
            place = made.path.with_name(f"{made.path.name}_{name}")
            unfinished = _unfinished(place, method, config, seed, exemplar)
            all_unfinished.append(unfinished)
            model, seconds = _fit(method, config, pixels, seed, unfinished)
            image, more = _draw(model, size, [seed], False)[0]
            samples[name] = Sample(image, seconds + more)
        samples |= make_references(pixels, exemplar.other, seed)
        for name, sample in samples.items():
            save_image(folder / "images" / f"{name}.png", to_uint8(sample.image))
        images = {name: to_uint8(sample.image) for name, sample in samples.items()}
        save_image(folder / "sheet.png", lay_out({"exemplar": exemplar.image} | images))
        rows = measure_all(pixels, samples, features)
        write_measures(folder / "measures.csv", rows)
    for unfinished in all_unfinished:
        unfinished.remove()
    print_measures(rows)
    print(f"all of it is in {made.path}")


def sample_texture(
    folder: Path,
    method: str,
    config: TextureConfig,
    size: tuple[int, int],
    count: int,
    seed: int,
    tile: bool,
    out: Path | None,
) -> None:
    """Make more images of a texture model."""
    made = NewFolder(out or folder / "sample", is_numbered=out is None)
    with shortage_reported(_ADVICE):
        model = _restore(folder, method, config)
        with made as new:
            seeds = range(seed, seed + count)
            samples = _draw(model, size, seeds, tile)
            _save(new, seeds, samples)
            if tile:
                repeated = np.tile(to_uint8(samples[0].image), (2, 2, 1))
                save_image(new / "repeated_2x2.png", repeated)
    print(f"all of it is in {made.path}")


def _read(picture: str, crop: Sequence[int] | None, longest_side: int) -> Exemplar:
    if made := made_name(picture):
        exemplar = make_exemplar(made, 0, longest_side)
    else:
        exemplar = read_exemplar(Path(picture), Crop(*crop) if crop else None, longest_side)
    if exemplar.remark:
        print(f"{picture}: {exemplar.remark}")
    return exemplar


def _load_features(
    name: str | None, exemplar: tuple[int, int], sample: tuple[int, int]
) -> FeatureNetwork | None:
    """The network for SIFID of images of these sizes. Raises UserError if they are too small."""
    if name is None:
        return None
    require_features(exemplar, "the image")
    require_features(sample, "the sample")
    return load_spatial_features(name)


def _unfinished(
    out: Path, method: str, config: TextureConfig, seed: int, exemplar: Exemplar
) -> Unfinished:
    """Where the state of a long training is kept: beside the folder that it will fill."""
    digest = hashlib.sha256(exemplar.image.tobytes()).hexdigest()
    values = {"method": method, "seed": seed, "exemplar": digest, "settings": config.model_dump()}
    return Unfinished(out.with_name(f"{out.name}.unfinished"), to_yaml(values))


def _fit(
    method: str, config: TextureConfig, exemplar: np.ndarray, seed: int, unfinished: Unfinished
) -> tuple[TextureModel, float]:
    """(the model, the seconds of a core that it took)."""
    tf.config.experimental.enable_op_determinism()  # a killed training goes on to the same bits
    began = time.process_time()
    with progress_bar(f"{method}: learning") as on_progress:
        model = METHODS[method].fit(exemplar, config, seed, on_progress, unfinished)
    return model, time.process_time() - began


def _restore(folder: Path, method: str, config: TextureConfig) -> TextureModel:
    arrays = read_arrays(folder)
    try:
        return METHODS[method].restore(config, arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder}: model.npz does not hold the {method} model that model.yaml describes"
        ) from error


def _draw(
    model: TextureModel, size: tuple[int, int], seeds: Sequence[int], tile: bool
) -> list[Sample]:
    """A sample of each seed. Raises UserError for a model that has diverged."""
    samples = []
    with progress_bar("sampling") as on_progress:
        for seed in seeds:
            began = time.process_time()
            image = model.sample(*size, seed, tile, on_progress)
            if not np.isfinite(image).all():
                raise UserError(
                    "the sample has values that are not finite: learning diverged; try a smaller "
                    "learning rate or smaller weights of the loss"
                )
            samples.append(Sample(np.clip(image, 0.0, 1.0), time.process_time() - began))
    return samples


def _save(folder: Path, seeds: Sequence[int], samples: Sequence[Sample]) -> None:
    """Write samples as PNG files named by their seeds."""
    for seed, sample in zip(seeds, samples, strict=True):
        save_image(folder / "samples" / f"seed_{seed:04d}.png", to_uint8(sample.image))
