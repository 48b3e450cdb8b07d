"""When the loop takes several steps in one call, that it changes nothing, and an epoch's means."""

import math

import pytest

from config import Config
from tests.conftest import SMALLEST, TINY, merge, run_in
from tests.survival import final_state, states_are_equal
from train import clock
from train.clock import Clock
from train.runs.progress import Progress, StepMeans


def test_steps_in_calls_of_ten_end_as_one_by_one(tmp_path, monkeypatch):
    config = Config.model_validate(
        merge(TINY, SMALLEST | {"data.train_size": 140, "train.epochs": 1})
    )
    folders, calls = [], []
    for seconds in (0.0, 1e6):  # no step is fast enough; every step is
        monkeypatch.setattr(clock, "MOST_SECONDS_A_CALL", seconds)
        count = Clock.steps_at_once
        monkeypatch.setattr(
            Clock, "steps_at_once", lambda *a, count=count: calls.append(count(*a)) or calls[-1]
        )
        folders.append(run_in(config, tmp_path / str(seconds)))
        monkeypatch.undo()
    assert calls == [1] * 35 + [1] * 10 + [10, 10] + [1] * 5
    one_by_one, together = folders
    assert states_are_equal(final_state(one_by_one.path), final_state(together.path))


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
    epoch_clock = Clock(checkpoint_every, seconds_before=0.0, steps_before=0)
    assert epoch_clock.steps_at_once(step, steps=100) == 1  # not known to be fast
    epoch_clock.set_speed(is_fast=True, is_slow=False)
    assert epoch_clock.steps_at_once(step, steps=100) == expected


def test_means_go_on_from_a_checkpoint_and_leave_out_overflows():
    names = ("encoder_loss", "r1_penalty", "discriminator_loss")

    def means_of(*steps):
        means = StepMeans(names)
        means.add([dict(zip(names, values, strict=True)) for values in steps])
        return means

    progress = Progress(names)
    both = means_of((1.0, 5.0, math.inf), (1.0, 5.0, math.inf)), means_of((2.0, 6.0, 3.0))
    progress.assign(3, 2, 7.5, *both)
    means, recent_means = progress.means()
    means.add([dict(zip(names, (4.0, math.nan, math.nan), strict=True)) | {"loss_scale": 2.0}])
    assert means.means() == {"encoder_loss": 2.0, "r1_penalty": 5.0, "discriminator_loss": None}
    progress.begin_epoch(4)
    state = (progress.epoch, progress.step, progress.seconds)
    assert [float(variable) for variable in state] == [4, 0, 0]
    means, recent_means = progress.means()
    assert means.means() == dict.fromkeys(names)
    assert recent_means.means() == dict(zip(names, (2.0, 6.0, 3.0), strict=True))
