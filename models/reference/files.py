"""The authors' weight files, in the HDF5 format of Keras 2. See `read_h5` and `write_h5`.

Keras 2 identifies the weights of a network by their order in `weight_names`, not by their names:
the numbers at the end of the names depend on the other layers of the same process. `read_h5` does
the same.

"Our name" is a name of `models.reference.weights`, such as mapper.0.w. "Keras' name" is the name
of the layer or weight in the file, such as eq_dense or eq_dense/eq_dense_w:0.
"""

import io
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

GROUPS = {"mapper": "mapper", "synthesis": "decoder", "discriminator": "discriminator"}
_INPUTS = {"mapper": "input_1", "synthesis": "input_3", "discriminator": "input_5"}
_ATTRIBUTES = {"backend": "tensorflow", "keras_version": "2.15.0"}


def read_h5(
    path: str | Path, network: str, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Read the weights of one network from one of the authors' files: {our name: array}.

    `network` is mapper, synthesis or discriminator. `shapes` maps our names of all weights, those
    of the other networks too, to the expected shapes. Raises ValueError for any other file, and for
    another architecture; the message names the first difference.
    """
    expected = [name for name, _ in _weight_order(network, shapes)]
    try:
        with h5py.File(path) as file:
            root = _open(file, "model_weights") if "model_weights" in file else file
            datasets = [
                (ascii(keras_name).strip("'"), _open(root, f"{layer}/{keras_name}"))
                for layer in map(_to_text, root.attrs["layer_names"])
                for keras_name in map(_to_text, _open(root, layer).attrs["weight_names"])
            ]
            for name, (keras_name, dataset) in zip(expected, datasets, strict=False):
                _check_dataset(dataset, keras_name, name, shapes[name])
            if len(datasets) != len(expected):
                found = len(datasets)
                raise ValueError(f"{found} weights, where the {network} has {len(expected)}")
            arrays = [(keras_name, dataset[()]) for keras_name, dataset in datasets]
    except (KeyError, OSError, TypeError, RuntimeError) as error:
        raise ValueError(f"not a weight file of Keras 2: {str(error).splitlines()[0]}") from error
    for keras_name, array in arrays:
        if not np.all(np.isfinite(array)):
            raise ValueError(f"{keras_name} has values that are not finite")
    return {name: array for name, (_, array) in zip(expected, arrays, strict=True)}


def _open(group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset:
    """A member of a group. Raises ValueError for a link, which could lead to any other file."""
    for part in filter(None, path.split("/")):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{path!a} is missing, or a link")
        group = group[part]
    return group


def _check_dataset(dataset: Any, keras_name: str, name: str, shape: tuple[int, ...]) -> None:
    """Raise ValueError, before a value is read, for what the authors' code does not write."""
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{keras_name} is no array")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{keras_name} has its values in another file")
    if dataset.dtype not in (np.float32, np.float64):
        raise ValueError(f"{keras_name} has values of type {dataset.dtype}, not of floats")
    if dataset.shape != shape:
        raise ValueError(f"{keras_name} has shape {dataset.shape}, where {name} has {shape}")
    if dataset.chunks:  # to read one value, HDF5 unpacks a chunk, which may be larger than memory
        raise ValueError(f"{keras_name} is stored in chunks, not in one piece")


def write_h5(path: str | Path, network: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the weights of one network to a file like the authors'.

    `network` is mapper, synthesis or discriminator. `arrays` maps our names to arrays; those of the
    other networks are ignored.
    """
    order = _weight_order(network, arrays)
    group_name, input_name = GROUPS[network], _INPUTS[network]
    content = io.BytesIO()  # in memory first, as HDF5 does not survive a full disk
    with h5py.File(content, "w") as file:
        file.attrs.update(_ATTRIBUTES)
        file.attrs["layer_names"] = [input_name, group_name]
        for empty in (input_name, "top_level_model_weights"):
            file.create_group(empty).attrs["weight_names"] = []
        group = file.create_group(group_name)
        group.attrs["weight_names"] = [keras_name for _, keras_name in order]
        for name, keras_name in order:
            group[keras_name] = arrays[name]
    Path(path).write_bytes(content.getvalue())


def _to_text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _weight_order(network: str, names: Collection[str]) -> list[tuple[str, str]]:
    """(our name, Keras' name) of each weight of a network, in the order of Keras 2.

    `names` holds our names of all weights.
    """
    order = []
    for layer, keras_layer in _LAYERS[network](names):
        prefix = keras_layer.rpartition("/")[2]
        keras_weights = {"const": f"{prefix}_noise:0", "w": f"{prefix}_w:0", "b": f"{prefix}_b:0"}
        keras_weights |= {f"style.{weight}": f"eq_dense/eq_dense_{weight}:0" for weight in "wb"}
        order += [
            (f"{layer}.{weight}", f"{keras_layer}/{keras_weight}")
            for weight, keras_weight in keras_weights.items()
            if f"{layer}.{weight}" in names
        ]
    return order


def _mapper_layers(names: Collection[str]) -> list[tuple[str, str]]:
    """(our name, Keras' name) of each layer of the mapper, in the order of Keras 2."""
    count = sum(name.startswith("mapper.") and name.endswith(".w") for name in names)
    return [(f"mapper.{index}", _numbered("eq_dense", index)) for index in range(count)]


def _synthesis_layers(names: Collection[str]) -> list[tuple[str, str]]:
    """(our name, Keras' name) of each layer of the synthesis, in the order of Keras 2."""
    sizes = _sizes("synthesis", names)
    convolutions = ["4.conv", *(f"{s}.{kind}" for s in sizes[1:] for kind in ("up", "conv"))]
    keras_names = {name: _numbered("mod_eq_conv2d", i) for i, name in enumerate(convolutions)}
    for index, size in enumerate(sizes):
        keras_names[f"{size}.to_rgb"] = _numbered("to_rgb", index) + "/mod_eq_conv2d"
    order = [f"{size}.{kind}" for size in sizes for kind in ("up", "conv", "to_rgb")]
    order = order[1:]  # the first size has no 4.up
    order[1:3] = order[2:0:-1]  # Keras sorts by depth: 8.up comes before 4.to_rgb
    layers = [(f"synthesis.{name}", keras_names[name]) for name in order]
    return [("synthesis", "trainable_noise"), *layers]


def _discriminator_layers(names: Collection[str]) -> list[tuple[str, str]]:
    """(our name, Keras' name) of each layer of the discriminator, in the order of Keras 2."""
    sizes = _sizes("discriminator", names)[:0:-1]  # descending from the image's to 8
    layers = [("from_rgb", "from_rgb/eq_conv2d")]
    for block, size in enumerate(sizes):
        numbers = {"conv": 3 * block + 1, "down": 3 * block + 2, "skip": 3 * block}
        layers += [(f"{size}.{k}", _numbered("eq_conv2d", n)) for k, n in numbers.items()]
    layers.append(("4.conv", _numbered("eq_conv2d", 3 * len(sizes))))
    heads = ("dense", "adversarial", "latent")
    layers += [(name, _numbered("eq_dense", index)) for index, name in enumerate(heads)]
    return [(f"discriminator.{name}", keras_name) for name, keras_name in layers]


_LAYERS = {
    "mapper": _mapper_layers,
    "synthesis": _synthesis_layers,
    "discriminator": _discriminator_layers,
}


def _numbered(name: str, index: int) -> str:
    """Number layers as Keras names those of one class: name, name_1, name_2 ..."""
    return f"{name}_{index}" if index else name


def _sizes(network: str, names: Collection[str]) -> list[int]:
    """Heights of a network's feature maps, ascending from 4."""
    parts = (name.split(".")[1] for name in names if name.startswith(f"{network}."))
    return sorted({int(part) for part in parts if part.isdigit()})
