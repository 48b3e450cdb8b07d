"""A tiny configuration and real image files, for all tests."""

import os
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf
import yaml

from config import Config
from train.checkpoints import Checkpoints
from train.run_folder import RunFolder
from train.step import Trainer

TINY = {
    "experiment": {"name": "tiny", "runs": ["normal_dls_dg", "uniform_mse_d"]},
    "data": {"source": "digits", "resolution": 16, "train_size": 16, "test_size": 8},
    "latent": {"dim": 6, "variance_window": 5},
    "model": {
        "style_units": 8,
        "mapper_layers": 2,
        "base_channels": 8,
        "synthesis_channels": [8, 4],
        "discriminator_channels": [4, 8],
    },
    "train": {
        "batch_size": 4,
        "epochs": 2,
        "learning_rate": 0.003,
        "r1_weight": 1.0,
        "precision": "float32",
    },
    "evaluate": {"batch_size": 4, "features": "none"},
}


SMALLEST = {  # at 8x8 a step is traced in half the time
    "data.resolution": 8,
    "model.synthesis_channels": [4],
    "model.discriminator_channels": [4],
}


def merge(values, changes):
    """The nested dict `values` with `changes`, given as {"section.key": value}."""
    merged = {section: dict(keys) for section, keys in values.items()}
    for name, value in changes.items():
        section, key = name.split(".")
        merged[section][key] = value
    return merged


@pytest.fixture
def tiny(tmp_path):
    """A function: the tiny config as a dict, with some keys changed."""

    def make(changes):
        return merge(TINY, {"data.cache_folder": str(tmp_path / "data")} | changes)

    return make


@pytest.fixture
def make_config(tiny):
    """A function: the tiny config with some keys changed, such as **{"train.epochs": 3}."""

    def make(**changes):
        return Config.model_validate(tiny(changes))

    return make


@pytest.fixture
def config_file(tmp_path, tiny):
    """A function: the path of a YAML file with the tiny config, some keys changed."""

    def write(**changes):
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(tiny(changes)))
        return path

    return write


def write_run(config, path, run="normal_dls_dg"):
    """Make a run folder with a checkpoint of networks that saw no training; returns the path."""
    trainer, folder = Trainer(config, run), RunFolder(path)
    folder.write_config(config, run, 0, "CPU", precision=trainer.settings.precision)
    with folder.locked():
        Checkpoints(trainer, folder).save(0)
    return path


def write_folder(path, files):
    """Write {name: bytes} as files in a folder; returns the `data.source`."""
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return f"folder:{path}"


def write_zip(path, files):
    """Write {name: bytes} into a zip file; returns the `data.source`."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return f"zip:{path}"


@pytest.fixture
def photos():
    """A function: n encoded images of different sizes as {name: bytes}: JPEG, grey JPEG and PNG."""

    def make(count, seed=0):
        generator = np.random.default_rng(seed)
        files = {}
        for index in range(count):
            shape = (20 + index, 31, (3, 1, 4)[index % 3])
            image = generator.integers(0, 256, shape, dtype=np.uint8)
            encode, ending = (
                (tf.io.encode_jpeg, "jpg"),
                (tf.io.encode_jpeg, "JPEG"),
                (tf.io.encode_png, "png"),
            )[index % 3]
            files[f"photo_{index:03d}.{ending}"] = encode(image).numpy()
        return files

    return make
