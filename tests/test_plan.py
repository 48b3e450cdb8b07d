"""The plan of an experiment: what it says of known numbers, and what it counts."""

import sys

import pytest
import yaml

import main
from tests.conftest import SMALLEST
from train.job import Job, run_job
from train.plan import make_plan, plan_lines
from train.run_folder import RunFolder

PLAN = {
    "name": "faces",
    "runs": 8,
    "workers": 2,
    "device": "CPU, 1 of 2 cores",
    "precision": "float32",
    "missing": ["features"],
    "train_images": 7200,
    "test_images": 800,
    "steps_per_epoch": 450,
    "images_read_per_second": 30.0,
    "parameters": {"mapper": 1000, "synthesis": 2000000, "discriminator": 3},
    "step_flops_per_image": 2e9,
    "step_seconds": 0.8,
    "images_per_second": 20.0,
    "memory_bytes": 2e9,
    "evaluation_seconds": 60.0,
    "evaluations": 5,
    "epochs": 10,
    "checkpoint_bytes": 3e7,
    "sheet_bytes": 1e9,
    "cache_bytes": 0,
}


def test_the_plan_in_words():
    """450 * 10 steps of 0.8 s and 5 evaluations of a minute, in 4 rounds of 2 runs."""
    assert list(plan_lines(PLAN)) == [
        "faces: 8 runs of 10 epochs of 450 steps",
        "parameters: mapper 1,000, synthesis 2,000,000, discriminator 3",
        "a step takes 2 GFLOP an image; in float32 on CPU, 1 of 2 cores: 0.8 s, 20 images/s, "
        "40 GFLOP/s",
        "a run: 60.0 minutes of training, 5.0 minutes of evaluation (5 times 800 images)",
        "the experiment: 4.3 hours, 2 at a time",
        "memory: 4.0 GB while training",
        "disk, at most: 30.0 MB of checkpoints, 1.0 GB of image sheets",
        "data: 30 images/s can be read, training takes 40: it would wait 25% of the time",
        "missing: features",
    ]


def test_what_is_counted_is_what_a_run_takes(make_config, tmp_path):
    changes = {"model.base_channels": 64, "train.epochs": 1, "data.train_size": None}
    config = make_config(**SMALLEST | changes)
    plan = make_plan(config, tmp_path, jobs=1)
    assert (plan["train_images"], plan["steps_per_epoch"], plan["runs"]) == (1789, 447, 2)
    assert plan["step_seconds"] < 1.0
    assert plan["evaluation_seconds"] < 60.0
    assert plan["images_read_per_second"] > 1000
    short = make_config(**SMALLEST | changes | {"data.train_size": 8})
    folder = RunFolder(tmp_path / "run")
    run_job(short, Job("normal_dls_dg", 0, folder.path), tmp_path, lambda report: None)
    (checkpoint,) = folder.saved_steps().values()
    size = checkpoint.with_suffix(".data-00000-of-00001").stat().st_size
    assert plan["checkpoint_bytes"] == pytest.approx(2 * 4 * size, rel=0.05)
    files = [*folder.images(1).glob("*.png"), *folder.tensorboard.iterdir()]
    assert 2 * sum(path.stat().st_size for path in files) < plan["sheet_bytes"]


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
    assert "missing: none; the numbers of images are those of the config" in output
    assert "images/s can be read" not in output
    code, output, errors = plan(**{"data.test_size": None})
    assert code == 2
    assert errors.startswith("error: data.source: no such folder: none")
    assert not (tmp_path / "tiny").exists()
