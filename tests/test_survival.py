"""A run that is killed again and again; `python -m benchmarks.survival` does it at length."""

import pytest

from config import Config
from tests.conftest import TINY, merge
from tests.survival import CHANGES, survive, train_to_the_end


@pytest.mark.long
def test_a_killed_run_ends_as_one_that_was_left_alone(tmp_path):
    config = Config.model_validate(merge(TINY, CHANGES))
    expected = train_to_the_end(config, tmp_path / "alone")
    assert [row["epoch"] for row in expected[1]] == [1, 2, 3, 4, 5]
    outcomes = list(survive(config, tmp_path / "killed", 5, seed=0, expected=expected))
    assert len([moment for moment, _ in outcomes if moment != "end"]) == 5
    assert all(outcome for moment, outcome in outcomes if moment == "end")
