"""How the config and the images of a run that goes on differ from those it was begun with."""

from collections.abc import Mapping
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
    values_before, values_now = flatten(before.model_dump()), flatten(now.model_dump())
    return [
        f"{key}: {values_before.get(key)}, now {value}"
        for key, value in values_now.items()
        if values_before.get(key) != value and not key.startswith(leave_out)
    ]


def list_image_changes(recorded: Mapping[str, Any], now: Mapping[str, Any] | None) -> list[str]:
    """One text for each split whose images differ from those in the run's record.

    None if the record has no images, as older and imported runs, or if `now` is None.
    """
    before = recorded.get("images")
    if before is None or now is None:
        return []
    return [
        f"images to {split}: {before[split]}, now {now[split]}"
        + (" with other content or in another order" if before[split] == now[split] else "")
        for split in ("train", "test")
        if before[f"{split}_digest"] != now[f"{split}_digest"]
    ]


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"train.epochs": 3} of {"train": {"epochs": 3}}."""
    flat = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat
