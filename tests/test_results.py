"""The table of final metrics, and the comparison of an epoch measured twice."""

import csv

import numpy as np
import pytest
import yaml

from evaluate.report.results import differences, print_comparison, print_results, write_results
from evaluate.report.tables import page_tables
from tests.conftest import write_measured_run
from train.runs.experiment import read_runs
from train.runs.folder import RunFolder


@pytest.fixture
def runs(tmp_path):
    write_measured_run(tmp_path, "normal_dls_dg")
    write_measured_run(tmp_path, "uniform_mse_d", seed=3, offset=1.0)
    folder = RunFolder(tmp_path / "normal_dls_dg" / "seed_0")
    last = {
        "epoch": 4,
        "fake_psnr": 20.0,
        "encoder_loss": 0.1234,
        "fid": 12.34,
        "protocol": {"features": "some"},
    }
    with folder.locked():
        folder.append(last | {"intervals": {"fid": [11.34, 13.34]}})
    return read_runs(tmp_path)


def test_markdown_and_csv_hold_the_last_epochs(runs, tmp_path):
    write_results(runs, tmp_path)
    lines = (tmp_path / "results.md").read_text().splitlines()
    assert lines[0].startswith("| run | epoch | L_enc | entropy | informative | FID | precision |")
    assert lines[2].startswith("| normal_dls_dg | 4 | 0.123 |  |  | 12.3 ±1.0 [1] |")
    assert lines[3].startswith("| uniform_mse_d | 3 | 31.000 | 31.0 |")
    assert "| 31.0 [2] | 31.000 | 31.000 |" in lines[3]
    assert lines[-3:] == [
        "FID: [1] some, None real and None generated images; "
        "[2] digit-classifier features, 9 real and 8 generated images",
        "precision, recall: digit-classifier features, 9 real and 8 generated images",
        "fake PSNR: [1] None generated images; [2] 8 generated images",
    ]
    first, second = csv.DictReader((tmp_path / "results.csv").open())
    assert (first["run"], first["seed"], first["fid"]) == ("normal_dls_dg", "0", "12.34")
    assert (first["fid_low"], first["fid_high"], first["recall"]) == ("11.34", "13.34", "")
    assert (second["seed"], second["encoder_loss"]) == ("3", "31.0")


def test_a_run_of_two_stages_tells_what_both_saw(tmp_path, capsys):
    changes = {"train.method": "post_hoc_encoder", "train.from_run": "gan"}
    path = write_measured_run(tmp_path, "post", changes=changes | {"latent.dynamic_scale": False})
    values = yaml.safe_load((path / "config.yaml").read_text())
    values["experiment"]["runs"] = {"post": {}}
    first = {"path": "results/tiny/gan/seed_0", "step": 10, "images_seen": 35904}
    values["recorded"]["first_run"] = first
    (path / "config.yaml").write_text(yaml.safe_dump(values))
    folder = RunFolder(path)
    with folder.locked():
        folder.append(folder.rows()[-1] | {"epoch": 4, "images_seen": 17952})
    runs = read_runs(tmp_path)
    line = (
        "post: a generator that saw 35,904 images (results/tiny/gan/seed_0), then an encoder "
        "trained on 17,952 of its images"
    )
    write_results(runs, tmp_path)
    assert (tmp_path / "results.md").read_text().splitlines()[-1] == line
    print_results(runs)
    assert line in " ".join(capsys.readouterr().out.split())
    assert page_tables(runs)[0].notes[-1] == line


def test_the_table_is_printed_whole(runs, capsys):
    print_results(runs)
    output = capsys.readouterr().out
    assert "normal_dls_dg" in output
    assert "12.3" in output
    assert "real SSIM" in output


def test_seeds_come_in_the_order_of_their_numbers(tmp_path):
    for seed in (10, 9, 100):
        write_measured_run(tmp_path, "normal_dls_dg", seed=seed)
    write_results(read_runs(tmp_path), tmp_path)
    seeds = [row["seed"] for row in csv.DictReader((tmp_path / "results.csv").open())]
    assert seeds == ["9", "10", "100"]
    (run,) = read_runs(tmp_path)
    assert run.folders[0].path.name == "seed_9"  # whose sheets are drawn


def test_differences_are_found():
    recorded = {"fid": 10.0, "recall": None, "real_ssim": 0.5, "protocol": {"features": "some"}}
    measured = recorded | {"fid": 10.0005, "real_ssim": 0.51, "intervals": {"fid": [9.0, 11.0]}}
    assert differences(recorded, measured) == ["real_ssim"]
    assert differences(recorded, measured | {"protocol": {}}) == ["real_ssim", "protocol"]
    assert differences({}, {"fid": 1.0}) == ["fid"]
    assert differences({"fid": None}, {"fid": 1.0}) == ["fid"]


def test_metrics_that_older_rows_do_not_have_are_no_difference(capsys):
    recorded = {"epoch": 1, "fid": 10.0}
    measured = {"fid": 10.0, "scale_importance_correlation": 0.75, "intervals": {}}
    assert differences(recorded, measured) == []
    print_comparison(recorded, measured, {})
    output = capsys.readouterr().out
    assert ["scale_importance_correlation", "0.75"] in [x.split() for x in output.splitlines()]
    assert "epoch 1: as recorded" in output


def test_an_older_row_without_a_resolution_is_no_difference(capsys):
    recorded = {"epoch": 1, "fid": 10.0, "protocol": {"features": "some"}}
    measured = recorded | {"intervals": {}, "protocol": {"features": "some", "resolution": 16}}
    assert differences(recorded, measured) == []
    other = recorded | {"protocol": {"features": "some", "resolution": 8}}
    assert differences(other, measured) == ["protocol"]
    print_comparison(recorded, measured, {})
    assert "protocol" not in capsys.readouterr().out
    print_comparison(other, measured, {})
    assert "protocol, resolution: 8, now 16" in capsys.readouterr().out


def test_the_comparison_shows_median_and_worst(capsys):
    row = {"epoch": 2, "real_psnr": 20.0, "fresh_encoder_loss": 0.5}
    measured = {
        "real_psnr": 20.0,
        "fresh_encoder_loss": 0.7,
        "intervals": {"real_psnr": [18.5, 21.5]},
    }
    per_image = {
        "real_psnr": np.array([11.25, 22, 27]),
        "fresh_encoder_loss": np.array([0.25, 1.75]),
    }
    print_comparison(row, measured, per_image)
    output = capsys.readouterr().out
    for text in ("18.5 ... 21.5", "22", "11.25", "1.75"):
        assert text in output
    assert "epoch 2: differ from the record: fresh_encoder_loss" in output
