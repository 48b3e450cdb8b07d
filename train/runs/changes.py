"""How the config of a run that goes on differs from the one it was begun with."""

from typing import Any

from config import Config

# These keys do not change what is trained.
MAY_CHANGE = (
    "experiment.",
    "train.epochs",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.log_every",
    "train.distribution",
    "train.connect_seconds",
    "evaluate.",
    "data.cache_folder",
)


def list_changes(before: Config, now: Config, leave_out: tuple[str, ...] = ()) -> list[str]:
    """One text for each key that differs, except keys that begin with one of `leave_out`."""
    values_before, values_now = _flatten(before.model_dump()), _flatten(now.model_dump())
    return [
        f"{key}: {values_before.get(key)}, now {value}"
        for key, value in values_now.items()
        if values_before.get(key) != value and not key.startswith(leave_out)
    ]


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"train.epochs": 3} of {"train": {"epochs": 3}}."""
    flat = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= _flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat
