"""Numbers recorded from the authors' code of five GANs: how to read and to compare them.

Their files keep the names and layouts of that code. `--recorded DIR` has other files of the same
form in place of those in tests/recorded/backbones.
"""

import json

import numpy as np

FORWARD, GRADIENT, SECOND_ORDER = 1e-5, 1e-4, 1e-3  # relative to an array's largest element


def read_recorded(pytestconfig, name):
    """(arrays by name, the recorded `config`) of a file."""
    arrays = dict(np.load(pytestconfig.getoption("--recorded") / f"{name}.npz"))
    return arrays, json.loads(str(arrays.pop("config")))


def with_prefix(arrays, prefix):
    """The arrays whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def from_torch(array):
    """PyTorch's (out, in, height, width) or (out, in), as Keras has it: (..., in, out)."""
    return array.transpose({4: (2, 3, 1, 0), 2: (1, 0)}.get(array.ndim, range(array.ndim)))


def dense_after_channels_first(kernel, size=4):
    """A dense kernel (in, out) whose inputs are in (channel, row, column) order, channels last."""
    pixels = kernel.reshape(-1, size, size, kernel.shape[1])  # (channels, height, width, out)
    return pixels.transpose(1, 2, 0, 3).reshape(kernel.shape)


def assign(variables, arrays):
    """Set variables from arrays by name; every array has its variable, and the other way round."""
    assert variables.keys() == arrays.keys()
    for name, variable in variables.items():
        assert tuple(variable.shape) == arrays[name].shape, name
        variable.assign(arrays[name])


def assert_close(value, expected, tolerance=FORWARD, name=""):
    """Assert that two arrays differ by no more than `tolerance` times the largest element."""
    value, expected = np.asarray(value), np.asarray(expected)
    assert value.shape == expected.shape, name
    error = np.abs(value - expected).max() / np.abs(expected).max()
    assert error <= tolerance, f"{name}: relative error {error:.2e}, above {tolerance}"


def assert_gradients(gradients, arrays, tag, tolerance=GRADIENT):
    """Compare gradients, by recorded names and in recorded layouts, with a network's recorded ones.

    Norms are compared relative to the norm of all of the network's gradients together.
    """
    norms = with_prefix(arrays, f"grad_norm_{tag}/")
    assert gradients.keys() == norms.keys()
    total = arrays[f"grad_norm_{tag}_total"]
    for name, norm in norms.items():
        error = abs(np.linalg.norm(gradients[name]) - norm) / total
        assert error <= tolerance, f"{tag} {name}: relative error {error:.2e}"
    squares = [np.sum(np.square(gradient, dtype=np.float64)) for gradient in gradients.values()]
    assert_close(np.sqrt(np.sum(squares)), total, tolerance, f"{tag}, total")
    for name, expected in with_prefix(arrays, f"grad_{tag}/").items():
        assert_close(gradients[name], expected, tolerance, f"{tag} {name}")
