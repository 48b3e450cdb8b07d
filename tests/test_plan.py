"""The plan of an experiment: what it says of known numbers, and what it counts."""

import sys

import pytest
import yaml

import main
from evaluate.plan import DataCost, Plan, RunCost, StepCost, make_plan
from evaluate.plan_lines import plan_lines
from tests.conftest import SMALLEST, run_in

STEP = StepCost({"mapper": 1000, "synthesis": 2000000, "discriminator": 3}, 2e9, 0.8, 20.0, 2e9)
COST = RunCost(
    runs=["a", "b", "c", "d"],
    precision="float32",
    epochs=10,
    evaluations=5,
    data=DataCost(7200, 800, 450, images_read_per_second=30.0),
    step=STEP,
    evaluation_seconds=60.0,
    checkpoint_bytes=3e7 / 8,
    sheet_bytes=1e9 / 8,
    cache_bytes=0,
)
PLAN = Plan("faces", 2, 2, "CPU, 1 of 2 cores", [COST], ["features"])


def test_the_plan_in_words():
    """450 * 10 steps of 0.8 s and 5 evaluations of a minute, in 4 rounds of 2 runs."""
    assert list(plan_lines(PLAN)) == [
        "faces: 8 runs of 10 epochs of 450 steps",
        "parameters: mapper 1,000, synthesis 2,000,000, discriminator 3",
        "a step takes 2 GFLOP an image; in float32 on CPU, 1 of 2 cores: 0.8 s, 20 images/s, "
        "40 GFLOP/s",
        "a run: 60.0 minutes of training, 5.0 minutes of evaluation (5 times 800 images)",
        "data: 30 images/s can be read, training takes 40: it would wait 25% of the time",
        "the experiment: 4.3 hours, 2 at a time",
        "memory: 4.0 GB while training",
        "disk, at most: 30.0 MB of checkpoints, 1.0 GB of image sheets",
        "missing: features",
    ]


def test_runs_that_cost_different_amounts_are_told_apart():
    """Two runs of 65 minutes and one of 125, two at a time: 65 + 125 minutes."""
    long = COST._replace(runs=["long"], epochs=20)
    plan = PLAN._replace(seeds=1, costs=[COST._replace(runs=["a", "b"]), long])
    lines = list(plan_lines(plan))
    assert lines[0] == "faces: 2 runs (a, b) of 10 epochs of 450 steps"
    assert lines[5] == "faces: 1 run (long) of 20 epochs of 450 steps"
    assert "the experiment: 3.2 hours, 2 at a time" in lines


def test_the_plan_matches_a_real_run(make_config, tmp_path):
    changes = {"model.base_channels": 64, "train.epochs": 1, "data.train_size": None}
    config = make_config(**SMALLEST | changes)
    (cost,) = make_plan(config, tmp_path, jobs_at_once=1).costs
    assert (cost.data.train_images, cost.data.steps_per_epoch) == (1789, 447)
    assert cost.runs == ["normal_dls_dg", "uniform_mse_d"]
    assert cost.step.seconds < 1.0
    assert cost.evaluation_seconds < 60.0
    assert cost.data.images_read_per_second > 1000
    short = make_config(**SMALLEST | changes | {"data.train_size": 8})
    folder = run_in(short, tmp_path / "run")
    (checkpoint,) = folder.saved_steps().values()
    size = checkpoint.with_suffix(".data-00000-of-00001").stat().st_size
    assert cost.checkpoint_bytes == pytest.approx(4 * size, rel=0.05)
    files = [*folder.images(1).glob("*.png"), *folder.tensorboard.iterdir()]
    assert sum(path.stat().st_size for path in files) < cost.sheet_bytes


def test_without_the_data_the_config_tells_its_size(tiny, tmp_path, monkeypatch, capsys):
    def plan(**changes):
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(tiny(SMALLEST | {"data.source": "folder:none"} | changes)))
        monkeypatch.setattr(
            sys, "argv", ["main.py", "plan", str(path), "--out", str(tmp_path), "--jobs", "1"]
        )
        with pytest.raises(SystemExit) as ended:
            main.main()
        return ended.value.code or 0, *capsys.readouterr()

    code, output, errors = plan()
    assert (code, errors) == (0, "")
    assert "2 runs of 2 epochs of 4 steps" in output
    assert "missing: none; the config gives the numbers of images" in output
    assert "images/s can be read" not in output
    code, output, errors = plan(**{"data.test_size": None})
    assert code == 2
    assert errors.startswith("error: data.source: no such folder: none")
    assert not (tmp_path / "tiny").exists()
