"""Texture trainings that are killed and go on, for tests."""

import pytest

from train.textures import unfinished
from train.textures.unfinished import Unfinished


def train_killed(fit, folder, monkeypatch):
    """The model of three steps, of which a kill ends the second before its state is saved.

    `fit(kept, on_progress)` trains.
    """
    monkeypatch.setattr(unfinished, "_SECONDS_BETWEEN", 0)
    kept = Unfinished(folder / "state", "a purpose")

    steps = []

    def kill(*step):
        steps.append(step)
        if len(steps) == 2:
            raise KeyboardInterrupt  # before its state is saved

    with pytest.raises(KeyboardInterrupt):
        fit(kept, kill)
    resumed = fit(kept, lambda *step: steps.append(step))
    assert len(steps) == 4
    assert steps[1] == steps[2]
    assert steps[3][0] == steps[3][1]
    return resumed
