"""Runs that differ from another run in a few keys. See `vary_run`."""

from collections.abc import Mapping
from typing import Any

from config import Config, find_run
from config.sections import RunConfig


def first_run(config: Config) -> str:
    """The name of the first run in a config."""
    return next(iter(config.experiment.runs))


def vary_run(config: Config, run: str, variants: Mapping[str, Mapping[str, Any]]) -> Config:
    """`config` with other runs: one for each of `variants`, which changes keys of `run`.

    `variants` is {label: {key: value}}. A run's name is its label, with underscores for spaces.
    """
    original = find_run(config, run)
    runs = {
        label.replace(" ", "_"): RunConfig(label=label, set=original.set | changes)
        for label, changes in variants.items()
    }
    experiment = config.experiment.model_copy(update={"runs": runs})
    return config.model_copy(update={"experiment": experiment})
