"""Two stages: a run that takes the generator of another one, `train.from_run`."""

import shutil
from collections import deque

import numpy as np
import pytest
import yaml

from config import Config, UserError
from evaluate.trained_run import TrainedRun
from tests.conftest import (
    SMALLEST,
    TINY,
    assert_user_error,
    eagerly,
    forget_last_epoch,
    merge,
    read_files,
    run_in,
    write_measured_run,
)
from tests.survival import final_state, states_are_equal
from train.experiment.jobs import list_jobs
from train.experiment.launch import take_ready
from train.runs.folder import RunFolder

RUN = "normal_mse_dg"
GAN = {"latent.dynamic_scale": False, "train.encoder_weight": 0.0}
POST = {"latent.dynamic_scale": False, "train.method": "post_hoc_encoder"}
STAGES = {
    "post": {"set": POST | {"train.from_run": "gan"}},
    "gan": {"set": GAN},
}


def configure(**changes):
    """The smallest config, 2 steps an epoch, 2 epochs, with averages."""
    smallest = {"data.train_size": 8, "train.average_decay": 0.9}
    return Config.model_validate(merge(TINY, SMALLEST | smallest | changes))


def generator_weights(networks):
    return [w.numpy() for part in (networks.mapper, networks.synthesis) for w in part.weights]


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """The folders of a GAN and of its second stage: not to be changed."""
    path = tmp_path_factory.mktemp("stages")
    with eagerly():
        gan = run_in(configure(**GAN), path / "gan", RUN)
        post = run_in(configure(**POST, **{"train.from_run": str(gan.path)}), path / "post", RUN)
    return gan, post


def test_the_second_stage_has_the_averaged_generator_of_the_first(stages):
    gan, post = stages
    expected = generator_weights(TrainedRun(gan.path).networks)
    for raw in (False, True):
        weights = generator_weights(TrainedRun(post.path, raw=raw).networks)
        assert all(np.array_equal(a, b) for a, b in zip(weights, expected, strict=True))
    first_raw = generator_weights(TrainedRun(gan.path, raw=True).networks)
    assert not all(np.array_equal(a, b) for a, b in zip(first_raw, expected, strict=True))
    assert post.recorded()["first_run"] == {"path": str(gan.path), "step": 4, "images_seen": 16}
    assert [row["images_seen"] for row in post.rows()] == [8, 16]
    assert "generator_loss" not in post.rows()[0]


def test_it_goes_on_without_the_first_run(stages, tmp_path):
    """As one that was never interrupted."""
    gan, post = stages
    again = RunFolder(shutil.copytree(post.path, tmp_path / "post"))
    forget_last_epoch(again)
    gone = configure(**POST, **{"train.from_run": str(gan.path)})
    aside = gan.path.rename(tmp_path / "aside")
    try:
        with eagerly():
            resumed = run_in(gone, again.path, RUN)
    finally:
        aside.rename(gan.path)
    assert states_are_equal(final_state(resumed.path), final_state(post.path))


def test_a_run_that_began_takes_the_checkpoint_that_it_recorded(stages, tmp_path):
    gan, post = stages
    begun = tmp_path / "post"
    begun.mkdir()
    recorded = (post.path / "config.yaml").read_text().replace("step: 4", "step: 3")
    (begun / "config.yaml").write_text(recorded)
    config = configure(**POST, **{"train.from_run": str(gan.path)})
    with eagerly(), pytest.raises(UserError, match="its checkpoint of step 3, from which"):
        run_in(config, begun, RUN)


@pytest.fixture
def reproduce(command, config_file, tmp_path):
    """A function: the error of reproducing runs; what was there before stays as it was."""

    def run(runs, **changes):
        before = read_files(tmp_path / "results")
        path = config_file(**changes | {"experiment.name": "stages", "experiment.runs": runs})
        code, _, errors = command("reproduce", path, "--out", tmp_path / "results")
        assert read_files(tmp_path / "results") == before
        return code, errors

    return run


def test_the_first_run_is_missing(reproduce, tmp_path):
    runs = {"post": {"set": POST | {"train.from_run": str(tmp_path / "gone")}}}
    message = (
        f"error: post seed 0: train.from_run: takes a run of this experiment (post) or the folder "
        f"of a run: {tmp_path / 'gone'}: "
    )
    assert_user_error(*reproduce(runs), message)


def test_the_first_run_is_still_training(reproduce, tmp_path):
    gan = write_measured_run(tmp_path / "other", "gan", epochs=1, changes=GAN | {"latent.dim": 6})
    values = yaml.safe_load((gan / "config.yaml").read_text())
    values["experiment"]["runs"] = {"gan": {"set": GAN}}
    (gan / "config.yaml").write_text(yaml.safe_dump(values))
    runs = {"post": {"set": POST | {"train.from_run": str(gan)}}}
    message = (
        f"error: post seed 0: train.from_run: {gan}: 1 of its 2 epochs are done; train it to the "
        "end first"
    )
    assert_user_error(*reproduce(runs), message)


@pytest.mark.parametrize(
    ("key", "value", "difference"),
    [
        ("latent.dim", 10, "latent.dim: 6, now 10"),
        ("model.base_channels", 16, "model.base_channels: 8, now 16"),
        ("latent.prior", "uniform", "latent.prior: normal, now uniform"),
    ],
)
def test_the_first_run_has_another_architecture(reproduce, tmp_path, key, value, difference):
    first = tmp_path / "results" / "stages" / "gan" / "seed_0"
    runs = {"gan": STAGES["gan"], "post": {"set": STAGES["post"]["set"] | {key: value}}}
    message = f"error: post seed 0: train.from_run: {first} has another architecture ({difference})"
    assert_user_error(*reproduce(runs), message)


@pytest.mark.parametrize(
    ("others", "takes"),
    [
        ({"post": "post"}, "post takes its generator from post"),
        (
            {"one": "two", "two": "one"},
            "one takes its generator from two, two takes its generator from one",
        ),
    ],
)
def test_no_run_takes_its_own_generator(reproduce, others, takes):
    runs = {
        name: {"set": POST | {"train.from_run": first, "train.beta_1": 0.1 * index}}
        for index, (name, first) in enumerate(others.items())
    }
    message = f"error: train.from_run: {takes}; name a run that is trained on its own"
    assert_user_error(*reproduce(runs), message)


def test_a_second_stage_waits_for_its_first_while_others_train(tiny, tmp_path):
    runs = STAGES | {"other": {}}
    config = Config.model_validate(tiny({"experiment.runs": runs, "experiment.seeds": [0, 1]}))
    waiting = deque(list_jobs(config, tmp_path))
    running, started = [], []
    while job := take_ready(waiting, running):
        running.append(job)
        started.append(str(job))
    assert started == ["gan seed 0", "other seed 0", "gan seed 1", "other seed 1"]
    running.remove(next(job for job in running if str(job) == "gan seed 1"))
    assert str(take_ready(waiting, running)) == "post seed 1"
    assert [str(job) for job in waiting] == ["post seed 0"]
    assert str(take_ready(waiting, [])) == "post seed 0"
