"""Texture trainings that are killed and go on, for tests."""

import pytest

from train.textures import unfinished
from train.textures.unfinished import Unfinished


def train_killed(fit, folder, monkeypatch, killed_in=2):
    """The model of a training that is killed in step `killed_in` and then goes on.

    The kill comes before that step's state is saved. `fit(kept, on_progress)` trains.
    """
    monkeypatch.setattr(unfinished, "_SECONDS_BETWEEN", 0)
    kept = Unfinished(folder / "state", "a purpose")
    steps = []

    def kill(*step):
        steps.append(step)
        if len(steps) == killed_in:
            raise KeyboardInterrupt  # before its state is saved

    with pytest.raises(KeyboardInterrupt):
        fit(kept, kill)
    resumed = fit(kept, lambda *step: steps.append(step))
    assert steps[killed_in - 1] == steps[killed_in]
    assert steps[-1][0] == steps[-1][1]
    return resumed
