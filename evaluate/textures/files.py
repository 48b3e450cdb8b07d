"""The folder of a texture model: model.yaml says what it is, model.npz holds it.

See `write_model`, `read_settings` and `read_model`.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from config import UserError, first_line, reason
from config.loading import parse_yaml, read_text, to_yaml
from config.textures import SECTIONS, validate_texture_config
from config.textures.base import TextureConfig
from train.textures.method import TextureModel

_SETTINGS, _ARRAYS = "model.yaml", "model.npz"


def write_model(
    folder: Path, method: str, config: TextureConfig, seed: int, model: TextureModel
) -> None:
    """Write a model into a folder."""
    values: dict[str, Any] = {"method": method, "seed": seed, "settings": config.model_dump()}
    (folder / _SETTINGS).write_text(to_yaml(values), encoding="utf-8")
    np.savez(folder / _ARRAYS, **model.arrays())


def read_settings(folder: Path) -> tuple[str, TextureConfig]:
    """(method, settings) of a model. Raises UserError for a folder without one."""
    path = folder / _SETTINGS
    if not path.is_file():
        raise UserError(
            f"{folder}: no texture model is here ({_SETTINGS} is missing); python main.py texture "
            "makes one"
        )
    try:
        values = parse_yaml(read_text(path), path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {reason(error)}") from error
    method = values.get("method") if isinstance(values, dict) else None
    if not isinstance(method, str) or method not in SECTIONS:
        raise UserError(f"{path}: method: use one of {', '.join(SECTIONS)}. Received: {method!r}")
    return method, validate_texture_config(method, values.get("settings") or {}, str(path))


def read_arrays(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of a model. Raises UserError."""
    path = folder / _ARRAYS
    try:
        with np.load(path) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        what = reason(error) if isinstance(error, OSError) else first_line(error)
        raise UserError(f"{path}: cannot be read: {what}") from error
