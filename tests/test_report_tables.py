"""The page's tables: final metrics, best epochs, other metrics and costs; settings."""

import json

import pytest

from evaluate.report.settings import describe_settings
from evaluate.report.tables import page_tables
from tests.conftest import PROTOCOL, write_measured_run
from train.runs.experiment import read_runs


def write_rows(folder, *rows):
    """Rows of the epochs 1, 2 ... with PROTOCOL, in place of those that are there."""
    whole = [
        {"epoch": e, "fake_psnr": 1.0, "protocol": PROTOCOL} | row for e, row in enumerate(rows, 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in whole))


def texts(table, label):
    """For each row of a table, "text beside" of a column's values, with * if they are the best."""
    column = [column.label for column in table.columns].index(label)
    return [
        " ".join(f"{value.words}{'*' if is_best else ''}" for value, is_best in row.cells[column])
        for row in table.rows
    ]


@pytest.fixture
def tables(tmp_path):
    """{title: table} of two runs, one of two seeds."""
    seconds = {"seconds_train": 10.0, "seconds_evaluate": 2.0}
    for seed, offset in ((0, 0.0), (1, 2.0)):
        write_rows(
            write_measured_run(tmp_path, "normal_dls_dg", seed=seed),
            seconds | {"fid": 20.0 + offset, "density": 0.5, "images_seen": 100},
            seconds | {"fid": 10.0 + offset, "density": 0.5, "images_seen": 200},
            seconds | {"fid": 12.0 + offset, "density": 0.5, "images_seen": 300},
        )
    interval = {"intervals": {"fid": [10.0, 18.0]}}
    other = write_measured_run(tmp_path, "normal_mse_d")
    write_rows(other, {"fid": 15.0, "density": 0.75}, {"fid": 14.0, "density": 0.25} | interval)
    return {table.title: table for table in page_tables(read_runs(tmp_path))}


def test_the_best_value_of_a_column_is_marked(tables):
    table = tables["Final metrics"]
    assert [(c.label, c.better) for c in table.columns] == [
        ("FID", "lower"), ("fake PSNR", "higher")
    ]  # fmt: skip
    assert texts(table, "FID") == ["13.0 ±1.4*", "14.0 ±4.0"]
    assert texts(table, "fake PSNR") == ["1.00 ±0.00*", "1.00*"]
    assert [row.epoch for row in table.rows] == ["3", "2"]


def test_best_values_have_their_epochs(tables):
    assert texts(tables["Best epochs"], "FID") == ["11.0 epoch 2*", "14.0 epoch 2"]
    assert texts(tables["Best epochs"], "density") == ["0.500 epoch 1", "0.750 epoch 1*"]


def test_other_metrics_and_costs_are_shown(tables):
    table = tables["Other metrics, and the cost"]
    assert texts(table, "density") == ["0.500 ±0.000*", "0.250"]
    assert texts(table, "s training") == ["30 ±0", ""]
    assert texts(table, "s evaluation") == ["6 ±0", ""]
    assert texts(table, "images/s") == ["10 ±0", ""]
    assert table.notes[0].startswith("density: digit-classifier features, 9 real and 8 generated")


def test_values_of_several_protocols_are_not_ranked_together(tmp_path):
    for name, fid, images in (("dls_dg", 3.0, 9), ("dls_d", 2.0, 9), ("mse_d", 1.0, 8)):
        folder = write_measured_run(tmp_path, f"normal_{name}")
        write_rows(folder, {"fid": fid, "protocol": PROTOCOL | {"real_images": images}})
    final, best, _ = page_tables(read_runs(tmp_path))
    assert texts(final, "FID") == ["3.0 [1]", "2.0 [1]*", "1.0 [2]"]
    assert texts(best, "FID") == ["3.0 epoch 1 [1]", "2.0 epoch 1 [1]*", "1.0 epoch 1 [2]"]


def test_all_settings_and_where_runs_differ(tmp_path):
    write_measured_run(tmp_path, "normal_dls_dg")
    changes = {"latent.dynamic_scale": False, "train.encoder_loss_in": ["discriminator"]}
    protocol = PROTOCOL | {"split": "test", "seed": 7}
    write_measured_run(tmp_path, "normal_mse_d", changes=changes, protocol=protocol)
    write_measured_run(tmp_path, "uniform_mse_d")
    (tmp_path / "uniform_mse_d" / "seed_0" / "config.yaml").unlink()
    about = describe_settings(read_runs(tmp_path))
    assert about.facts["trained"] == "3 trainings of 3 runs (seed 0)"
    assert about.keys == ["latent.dynamic_scale", "train.encoder_loss_in"]
    assert about.differences == [
        ["normal_dls_dg", "true", "discriminator, generator"],
        ["uniform_mse_d", "-", "-"],
        ["normal_mse_d", "false", "discriminator"],
    ]
    assert about.settings["train.beta_2"] == "0.99"
    assert about.settings["latent.dynamic_scale"] == "true (1 training), false (1 training)"
    assert not [key for key in about.settings if key.startswith("experiment.")]
    assert about.protocol == {
        "features": "digit-classifier features", "real_images": "9", "fake_images": "8",
        "split": "test", "seed": "7",
    }  # fmt: skip
