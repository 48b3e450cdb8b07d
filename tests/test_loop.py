"""Steps taken several in one call: when, and that it changes nothing."""

import pytest

from config import Config
from tests.conftest import SMALLEST, TINY, merge
from tests.survival import final_state, same
from train import loop
from train.job import Job, run_job
from train.loop import _Clock
from train.run_folder import RunFolder


def test_steps_in_calls_of_ten_end_as_one_by_one(tmp_path, monkeypatch):
    config = Config.model_validate(
        merge(TINY, SMALLEST | {"data.train_size": 140, "train.epochs": 1})
    )
    folders, calls = [], []
    for seconds in (0.0, 1e6):  # no step is fast enough; every step is
        monkeypatch.setattr(loop, "REPORT_SECONDS", seconds)
        count = _Clock.steps_at_once
        monkeypatch.setattr(
            _Clock, "steps_at_once", lambda *a, count=count: calls.append(count(*a)) or calls[-1]
        )
        folders.append(RunFolder(tmp_path / str(seconds)))
        run_job(config, Job("normal_dls_dg", 0, folders[-1].path), tmp_path, lambda report: None)
        monkeypatch.undo()
    assert calls == [1] * 35 + [1] * 10 + [10, 10] + [1] * 5
    one_by_one, together = folders
    assert same(final_state(one_by_one.path), final_state(together.path))


@pytest.mark.parametrize(
    ("checkpoint_every", "step", "expected"),
    [
        ("10 minutes", 0, 10),
        ("10 minutes", 90, 10),
        ("10 minutes", 91, 1),
        ("25 steps", 15, 10),
        ("25 steps", 16, 1),
        ("4 steps", 0, 1),
    ],
)
def test_no_call_goes_past_a_checkpoint_or_the_end(checkpoint_every, step, expected):
    clock = _Clock(checkpoint_every, seconds_before=0.0, steps_before=0)
    assert clock.steps_at_once(step, steps=100) == 1  # not known to be fast
    clock.is_fast = True
    assert clock.steps_at_once(step, steps=100) == expected
