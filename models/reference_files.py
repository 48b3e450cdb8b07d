"""The authors' weight files, Keras 2 HDF5. See `read_h5` and `write_h5`.

Keras 2 reads the weights of a network in the order of `weight_names`, whatever their names, which
end in numbers that depend on what else was built in the same process. So does `read_h5`.
"""

import io
from pathlib import Path

import h5py
import numpy as np

GROUPS = {"mapper": "mapper", "synthesis": "decoder", "discriminator": "discriminator"}
_INPUTS = {"mapper": "input_1", "synthesis": "input_3", "discriminator": "input_5"}
_ATTRIBUTES = {"backend": "tensorflow", "keras_version": "2.15.0"}


def read_h5(path, network, shapes):
    """{name: array} of the weights of a network in one of the authors' files.

    `network` is mapper, synthesis or discriminator; names are those of `reference_weights`, and
    `shapes` maps all of them, of all networks, to the expected shapes. Raises ValueError for a file
    that is none of theirs, or of another architecture, naming the first difference.
    """
    expected = [name for name, _ in _order(network, shapes)]
    try:
        with h5py.File(path) as file:
            root = file.get("model_weights", file)  # in a whole model that Keras 2 saved
            arrays = [
                (name, np.asarray(root[layer][name]))
                for layer in map(_text, root.attrs["layer_names"])
                for name in map(_text, root[layer].attrs["weight_names"])
            ]
    except (KeyError, OSError, TypeError, RuntimeError) as error:
        raise ValueError(f"not a weight file of Keras 2: {str(error).splitlines()[0]}") from error
    for name, (name_there, array) in zip(expected, arrays, strict=False):
        if array.shape != shapes[name]:
            raise ValueError(
                f"{name_there} has shape {array.shape}, where {name} has {shapes[name]}"
            )
        if not np.all(np.isfinite(array)):
            raise ValueError(f"{name_there} has values that are not finite")
    if len(arrays) != len(expected):
        raise ValueError(f"{len(arrays)} weights, where the {network} has {len(expected)}")
    return {name: array for name, (_, array) in zip(expected, arrays, strict=True)}


def write_h5(path, network, arrays):
    """Write a network's weights of `arrays`, named as in `reference_weights`, as the authors do."""
    order = _order(network, arrays)
    group_name, input_name = GROUPS[network], _INPUTS[network]
    content = io.BytesIO()  # HDF5 does not survive a full disk
    with h5py.File(content, "w") as file:
        file.attrs.update(_ATTRIBUTES)
        file.attrs["layer_names"] = [input_name, group_name]
        for empty in (input_name, "top_level_model_weights"):
            file.create_group(empty).attrs["weight_names"] = []
        group = file.create_group(group_name)
        group.attrs["weight_names"] = [there for _, there in order]
        for name, there in order:
            group[there] = arrays[name]
    Path(path).write_bytes(content.getvalue())


def _text(name):
    return name.decode() if isinstance(name, bytes) else name


def _order(network, names):
    """(name, name in the file) of each of a network's weights, in the order of Keras 2."""
    layers = {"mapper": _mapper, "synthesis": _synthesis, "discriminator": _discriminator}
    order = []
    for layer, there in layers[network](names):
        leaf = there.rpartition("/")[2]
        weights = {"const": f"{leaf}_noise:0", "w": f"{leaf}_w:0", "b": f"{leaf}_b:0"}
        weights |= {f"style.{weight}": f"eq_dense/eq_dense_{weight}:0" for weight in "wb"}
        order += [
            (f"{layer}.{weight}", f"{there}/{name}")
            for weight, name in weights.items()
            if f"{layer}.{weight}" in names
        ]
    return order


def _mapper(names):
    count = sum(name.startswith("mapper.") and name.endswith(".w") for name in names)
    return [(f"mapper.{index}", _numbered("eq_dense", index)) for index in range(count)]


def _synthesis(names):
    sizes = _sizes("synthesis", names)
    convolutions = ["4.conv", *(f"{s}.{kind}" for s in sizes[1:] for kind in ("up", "conv"))]
    there = {name: _numbered("mod_eq_conv2d", i) for i, name in enumerate(convolutions)}
    for index, size in enumerate(sizes):
        there[f"{size}.to_rgb"] = _numbered("to_rgb", index) + "/mod_eq_conv2d"
    order = [f"{size}.{kind}" for size in sizes for kind in ("up", "conv", "to_rgb")][1:]
    order[1:3] = order[2:0:-1]  # Keras sorts by depth: 8.up comes before 4.to_rgb
    layers = [(f"synthesis.{name}", there[name]) for name in order]
    return [("synthesis", "trainable_noise"), *layers]


def _discriminator(names):
    sizes = _sizes("discriminator", names)[:0:-1]  # from the image's down to 8
    layers = [("from_rgb", "from_rgb/eq_conv2d")]
    for block, size in enumerate(sizes):
        numbers = {"conv": 3 * block + 1, "down": 3 * block + 2, "skip": 3 * block}
        layers += [(f"{size}.{k}", _numbered("eq_conv2d", n)) for k, n in numbers.items()]
    layers.append(("4.conv", _numbered("eq_conv2d", 3 * len(sizes))))
    heads = ("dense", "adversarial", "latent")
    layers += [(name, _numbered("eq_dense", index)) for index, name in enumerate(heads)]
    return [(f"discriminator.{name}", there) for name, there in layers]


def _numbered(name, index):
    """As Keras names the layers of a class: name, name_1, name_2 ..."""
    return f"{name}_{index}" if index else name


def _sizes(network, names):
    """Heights of the feature maps, ascending from 4."""
    parts = (name.split(".")[1] for name in names if name.startswith(f"{network}."))
    return sorted({int(part) for part in parts if part.isdigit()})
