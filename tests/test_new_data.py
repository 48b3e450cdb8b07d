"""Images that change between two trainings of a run: refused, or accepted and recorded."""

import shutil

import pytest

from config import Config, UserError
from data.loading import open_splits
from evaluate.measuring import Measuring
from tests.conftest import (
    SMALLEST,
    TINY,
    eagerly,
    make_job,
    merge,
    read_files,
    run_in,
    write_folder,
)
from train.experiment.checks import check_jobs
from train.runs.folder import RunFolder
from train.runtime.cluster import Cluster
from train.runtime.distribution import Processes

RUN = "normal_dls_dg"
ALL_PHOTOS = SMALLEST | {
    "data.train_size": None,
    "data.test_size": None,
    "evaluate.batch_size": 2,
    "train.epochs": 1,
}
IMAGES = {"train": 36, "train_digest": "aa", "test": 4, "test_digest": "bb"}


def steps_of(folder):
    return [(row["epoch"], row["step"], row["images_seen"]) for row in folder.rows()]


def remove(folder, names):
    for name in names:
        (folder / name).unlink()


def test_other_images_are_refused_and_nothing_is_written(config_file, command, tmp_path, photos):
    files = photos(40)
    source = write_folder(tmp_path / "photos", files)
    path = config_file(**ALL_PHOTOS | {"data.source": source, "experiment.runs": [RUN]})
    train = ("train", path, "--run", RUN, "--out", tmp_path)
    with eagerly():
        assert command(*train)[0] == 0
    folder = RunFolder(tmp_path / "tiny" / RUN / "seed_0")
    remove(tmp_path / "photos", sorted(files)[:10])
    before = read_files(folder.path)
    more = ("--set", "train.epochs=2")
    for arguments in (train, ("reproduce", path, "--out", tmp_path)):
        code, _, errors = command(*arguments, *more)
        assert read_files(folder.path) == before
        assert (code, errors) == (
            2,
            f"error: {folder.path} was trained on other images (images to train: 36, now 27; "
            "images to test: 4, now 3); --accept-new-data goes on with the new ones, --fresh "
            "starts over\n",
        )
    with eagerly():
        code, output, _ = command(*train, *more, "--accept-new-data")
    assert code == 0
    change = "images to train: 36, now 27; images to test: 4, now 3"
    assert f"{RUN} seed 0 goes on with other images: {change}\n" in output
    assert f"{RUN} goes on after epoch 1 of 2, step 9\n" in output
    assert steps_of(folder) == [(1, 9, 36), (2, 15, 60)]
    assert max(folder.saved_steps()) == 15
    recorded = folder.recorded()
    assert recorded["changes"] == [f"after epoch 1: train.epochs: 1, now 2; {change}"]
    assert (recorded["images"]["train"], recorded["images"]["test"]) == (27, 3)


@pytest.fixture(scope="module")
def in_second_epoch(tmp_path_factory):
    """A run on 40 digits, 9 steps an epoch, stopped after step 8 of its second epoch."""
    digits = SMALLEST | {"data.train_size": 36, "train.checkpoint_every": "1 steps"}
    folder = run_in(Config.model_validate(merge(TINY, digits)), tmp_path_factory.mktemp("run"))
    remove(folder.checkpoints, [path.name for path in folder.checkpoints.glob("step-18.*")])
    first, _ = folder.metrics_path.read_text().splitlines()
    folder.metrics_path.write_text(f"{first}\n")
    return folder


@pytest.mark.parametrize(("train_size", "steps"), [(20, [17, 22]), (44, [20, 31])])
def test_an_epoch_that_becomes_shorter_or_longer_goes_on_in_its_middle(
    in_second_epoch, tmp_path, train_size, steps
):
    folder = RunFolder(shutil.copytree(in_second_epoch.path, tmp_path / "run"))
    text = folder.config_path.read_text()
    folder.config_path.write_text(text.replace("train_size: 36", f"train_size: {train_size}"))
    changes = SMALLEST | {"data.train_size": train_size, "train.epochs": 3}
    events = []
    run_in(
        Config.model_validate(merge(TINY, changes)),
        folder.path,
        on_event=events.append,
        accept_new_data=True,
    )
    second, third = steps
    assert steps_of(folder) == [(1, 9, 36), (2, second, 4 * second), (3, third, 4 * third)]
    assert max(folder.saved_steps()) == third
    assert str(events[0]) == "goes on in epoch 2 of 3, after step 17"
    assert folder.recorded()["changes"][0].endswith(f"images to train: 36, now {train_size}")


def test_steps_never_go_back_where_the_newest_checkpoint_is_damaged(in_second_epoch, tmp_path):
    """The second epoch is repeated with fewer images; its row, after step 18, stays."""
    folder = RunFolder(shutil.copytree(in_second_epoch.path, tmp_path / "run"))
    with folder.locked():
        folder.append(folder.rows()[0] | {"epoch": 2, "step": 18, "images_seen": 72})
    for name in ("index", "data-00000-of-00001"):
        (folder.checkpoints / f"step-18.{name}").write_bytes(b"")
    text = folder.config_path.read_text()
    folder.config_path.write_text(text.replace("train_size: 36", "train_size: 4"))
    changes = SMALLEST | {"data.train_size": 4, "train.epochs": 3}
    config = Config.model_validate(merge(TINY, changes))
    with pytest.warns(UserWarning, match="step-18 cannot be read"):
        run_in(config, folder.path, accept_new_data=True)
    assert steps_of(folder) == [(1, 9, 36), (2, 18, 72), (3, 19, 76)]
    assert max(folder.saved_steps()) == 19


def test_other_images_of_the_same_number_are_told_from_the_same_ones(tmp_path, make_config):
    folder = RunFolder(tmp_path)
    folder.write_config(make_config(), RUN, 0, "cpu", images=IMAGES)
    assert folder.check_images(dict(IMAGES), accept=False) == []
    change = "images to test: 4, now 4 with other content or in another order"
    with pytest.raises(UserError, match=rf"was trained on other images \({change}\); --accept"):
        folder.check_images(IMAGES | {"test_digest": "cc"}, accept=False)
    assert folder.check_images(IMAGES | {"test_digest": "cc"}, accept=True) == [change]


def test_millions_of_images_are_recorded(tmp_path, make_config):
    folder = RunFolder(tmp_path)
    millions = IMAGES | {"train": 3_000_000, "test": 2_000_000}
    folder.write_config(make_config(), RUN, 0, "cpu", images=millions)
    assert folder.check_images(millions, accept=False) == []


def test_the_images_of_an_older_or_imported_run_are_recorded_when_it_goes_on(tmp_path, make_config):
    folder = RunFolder(tmp_path)
    folder.write_config(make_config(), RUN, 0, "cpu")
    assert folder.check_images(IMAGES, accept=False) == []
    folder.write_config(make_config(), RUN, 0, "cpu", images=IMAGES)
    assert folder.recorded()["images"] == IMAGES
    assert "changes" not in folder.recorded()


def test_the_chief_alone_decides_about_other_images(tmp_path, make_config):
    """The others may not see the run folder, or an old copy of it."""
    job = make_job(make_config(**{"train.distribution": "multi_worker"}), tmp_path)
    job.folder.write_config(job.config, RUN, 0, "cpu", images=IMAGES)
    for index in (0, 1):
        cluster = Cluster(["a:1", "b:1"], index)
        if cluster.is_chief:
            with pytest.raises(UserError, match="images to train: 36, now 16; images to test: 4"):
                check_jobs([job], cluster, Measuring(tmp_path))
        else:
            assert check_jobs([job], cluster, Measuring(tmp_path)).steps_per_epoch == [4]


def test_the_processes_of_a_cluster_compare_the_content_of_their_images(
    make_config, tmp_path, monkeypatch
):
    compared, config = {}, make_config(**SMALLEST | {"train.epochs": 1})
    monkeypatch.setattr(
        Processes, "require_same", lambda self, what, value: compared.update({what: value})
    )
    with eagerly():
        run_in(config, tmp_path / "run")
    assert compared["images"] == open_splits(config.data)[1]


def record_of(make_config, source, **changes):
    data = ALL_PHOTOS | {"data.source": source, "evaluate.batch_size": 1} | changes
    return open_splits(make_config(**data).data)[1]


def test_the_record_of_images_follows_their_content_and_order(make_config, tmp_path, photos):
    files = photos(10)
    names = sorted(files)
    record = record_of(make_config, write_folder(tmp_path / "photos", files))
    assert (record["train"], record["test"]) == (9, 1)
    assert record_of(make_config, write_folder(tmp_path / "moved", files)) == record
    swapped = files | {names[0]: files[names[3]], names[3]: files[names[0]]}
    other = files | {names[-1]: photos(1, seed=1)["photo_000.jpg"]}
    for name, changed, split in (("swapped", swapped, "train"), ("other", other, "test")):
        new = record_of(make_config, write_folder(tmp_path / name, changed))
        assert [key for key in record if new[key] != record[key]] == [f"{split}_digest"]
    source = f"folder:{tmp_path / 'photos'}"
    assert record_of(make_config, source, **{"data.cache": "disk"}) == record


def test_the_embedded_digits_have_a_record_too(make_config):
    fixed = {"data.train_size": 1500, "data.test_size": 297}
    assert record_of(make_config, "digits", **fixed) == {
        "train": 1500,
        "train_digest": "f01ce57cca054865",
        "test": 297,
        "test_digest": "9f66ec54b7058b43",
    }
