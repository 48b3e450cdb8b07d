"""Own runs on the same figures and page, and runs of several experiments."""

import csv
import json
import shutil

import pytest

from config import Config, UserError
from evaluate.protocols import name_protocols
from evaluate.report.charts import comparison_charts
from evaluate.report.figures import draw_figures
from evaluate.report.results import final_rows, header, protocol_lines
from evaluate.report.styles import PAPER_STYLES, choose_styles, run_style
from tests.conftest import (
    PROTOCOL,
    TINY,
    assert_user_error,
    merge,
    write_measured_run,
    write_sheets,
)
from tests.test_report import Page
from train.runs.experiment import read_compared_runs, read_runs

OWN = {
    "wide": {"label": "$64 <b>channels", "set": {"model.base_channels": 64}},
    "uniform": {"label": "uniform, no DLS",
                "set": {"latent.prior": "uniform", "latent.dynamic_scale": False}},
    "normal_dls_dg": None,
}  # fmt: skip


def write_own_run(experiment, name, runs=OWN, **options):
    """A made-up run of one's own; `options` are those of `write_measured_run`."""
    changes = {"experiment.name": experiment.name, "experiment.runs": runs}
    changes |= (runs[name] or {}).get("set", {})
    return write_measured_run(experiment, name, changes=changes, **options)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """An experiment with two runs of one's own and one of the paper's, written in another order."""
    experiment = tmp_path_factory.mktemp("own") / "mine"
    for offset, name in enumerate(reversed(OWN)):
        write_sheets(write_own_run(experiment, name, offset=float(offset)), epoch=3)
    return experiment


def curves_of(runs, metric):
    """{label: values} of a metric's chart."""
    (chart,) = [chart for chart in comparison_charts(runs) if chart.name == metric]
    return {series.label: series.values for series in chart.series}


def test_runs_come_in_the_order_of_the_config_with_their_labels(own):
    runs = read_runs(own)
    assert [run.name for run in runs] == list(OWN)
    assert [run.label for run in runs] == ["$64 <b>channels", "uniform, no DLS", "DLS, DG (normal)"]
    assert runs[0].config.model.base_channels == 64
    assert runs[1].config.latent.prior == "uniform"


def test_each_metric_has_one_figure_with_all_runs(own):
    runs = read_runs(own)
    drawn = draw_figures(runs, own / "figures")
    metrics = ["encoder_loss", "latent_entropy", "fid", "precision", "recall",
               "fake_psnr", "fake_ssim", "real_psnr", "real_ssim"]  # fmt: skip
    assert drawn.curves == metrics
    for metric in metrics:
        for ending in ("png", "svg"):
            assert (own / "figures" / f"{metric}.{ending}").exists()
    assert curves_of(runs, "fid") == {
        "$64 <b>channels": [12.0, 22.0, 32.0],
        "uniform, no DLS": [11.0, 21.0, 31.0],
        "DLS, DG (normal)": [10.0, 20.0, 30.0],
    }
    kinds = ("fake_reconstructed", "real_reconstructed", "interpolation")
    assert drawn.sheets == [f"{run}_{kind}" for run in ("wide", "uniform") for kind in kinds]
    assert all((own / "figures" / f"{sheet}.png").exists() for sheet in drawn.sheets)
    assert list(drawn.numbered) == [1, 3, 5, 7, 9, 11, 12, 14, 16, 17]  # of the paper's run
    (entropy,) = [chart for chart in comparison_charts(runs) if chart.name == "latent_entropy"]
    assert [label for label, _ in entropy.levels] == [
        "greatest possible: 14.2", "greatest possible: 12.4"
    ]  # fmt: skip


def test_the_table_has_labels(own):
    runs = read_runs(own)
    assert header(runs)[:4] == ["run", "label", "epoch", "L_enc"]
    assert final_rows(runs)[0][:4] == ["wide", "$64 <b>channels", "3", "32.000"]


def test_the_command_draws_own_runs(own, command, empty_curves):
    code, output, errors = command("figures", own)
    assert (code, errors) == (0, "")
    assert "uniform, no DLS" in output
    assert "curves of encoder_loss, latent_entropy, fid" in output
    page = Page(own / "report.html")
    lines = page.lines("Average L_enc")
    assert list(lines) == ["$64 <b>channels", "uniform, no DLS", "DLS, DG (normal)"]
    assert lines["uniform, no DLS"]["y"] == [11.0, 21.0, 31.0]
    assert "Figure 3: Average L_enc, Z ~ N(0, 1²)" in page.texts
    (wide, uniform, _) = page.data["views"]
    assert (wide["name"], uniform["scales"]) == ("wide, seed 0", {})


@pytest.fixture
def two(tmp_path):
    """Two experiments that share a run name and a label, measured by different networks."""
    first, second = tmp_path / "first", tmp_path / "second"
    write_own_run(first, "wide")
    write_measured_run(first, "normal_dls_dg")
    other = PROTOCOL | {"features": "InceptionV3 features"}
    write_own_run(second, "wide", offset=5.0, protocol=other)
    return first, second


def test_compare_tells_runs_and_protocols_apart(two, command, tmp_path, empty_curves):
    first, second = two
    out = tmp_path / "compared"
    code, _, errors = command("compare", first, second, "--out", out)
    assert (code, errors) == (0, "")
    runs = read_compared_runs(two)
    assert [run.name for run in runs] == ["first/wide", "normal_dls_dg", "second/wide"]
    labels = ["$64 <b>channels (first)", "DLS, DG (normal)", "$64 <b>channels (second)"]
    assert [run.label for run in runs] == labels
    assert curves_of(runs, "fid") == {
        f"{labels[0]} [1]": [10.0, 20.0, 30.0],
        f"{labels[1]} [1]": [10.0, 20.0, 30.0],
        f"{labels[2]} [2]": [15.0, 25.0, 35.0],
    }
    assert list(curves_of(runs, "encoder_loss")) == labels  # no protocol touches it
    assert [row[3] for row in final_rows(runs)] == ["30.000", "30.000", "35.000"]
    assert [row[6] for row in final_rows(runs)] == ["30.0 [1]", "30.0 [1]", "35.0 [2]"]
    assert protocol_lines(runs) == [
        "FID, precision, recall: [1] digit-classifier features, 9 real and 8 generated images; "
        "[2] InceptionV3 features, 9 real and 8 generated images"
    ]
    rows = list(csv.DictReader((out / "figures" / "results.csv").open()))
    assert [row["run"] for row in rows] == [run.name for run in runs]
    assert [row["features"] for row in rows][::2] == [
        "digit-classifier features", "InceptionV3 features"
    ]  # fmt: skip
    page = Page(out / "report.html")
    assert list(page.lines("FID comparison")) == [
        f"{label} [{n}]" for label, n in zip(labels, (1, 1, 2), strict=True)
    ]
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert all((out / link).exists() for link in links)
    assert "../first/wide/seed_0/config.yaml" in links


def test_rows_of_one_run_with_two_protocols_make_two_curves(tmp_path):
    folder = write_measured_run(tmp_path, "normal_dls_dg")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").open()]
    rows[2]["protocol"] = PROTOCOL | {"features_sha256": "another"}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    runs = read_runs(tmp_path)
    assert curves_of(runs, "fid") == {
        "DLS, DG (normal) [1]": [10.0, 20.0], "DLS, DG (normal) [2]": [30.0]
    }  # fmt: skip
    (chart,) = [chart for chart in comparison_charts(runs) if chart.name == "fid"]
    assert [note.rpartition(", ")[2] for note in chart.notes] == [
        "features_sha256 None", "features_sha256 another"
    ]  # fmt: skip


def test_seeds_with_other_protocols_are_not_averaged(tmp_path):
    for seed, count in ((0, 9), (1, 9), (2, 12)):
        protocol = PROTOCOL | {"real_images": count}
        runs = {"wide": OWN["wide"]}
        write_own_run(tmp_path / "x", "wide", runs, seed=seed, offset=2.0 * seed, protocol=protocol)
    runs = read_runs(tmp_path / "x")
    assert curves_of(runs, "real_psnr") == {
        "$64 <b>channels [1]": [11.0, 21.0, 31.0], "$64 <b>channels [2]": [14.0, 24.0, 34.0]
    }  # fmt: skip
    assert final_rows(runs)[0][11] == "31.00 ±1.41 [1]; 34.00 [2]"


def styles_of(runs, metric="encoder_loss"):
    """{label: style} of a metric's chart."""
    (chart,) = [chart for chart in comparison_charts(runs) if chart.name == metric]
    return {series.label: series.style for series in chart.series}


def write_with_resolutions(path, resolutions, **protocol):
    """An experiment with a run for each resolution, which is in its rows unless it is None."""
    names = [f"run_{index}" for index in range(len(resolutions))]
    runs = {name: {"label": name, "set": {"data.split_seed": index}}
            for index, name in enumerate(names)}  # fmt: skip
    for name, resolution in zip(names, resolutions, strict=True):
        known = {} if resolution is None else {"resolution": resolution}
        write_own_run(path, name, runs, protocol=PROTOCOL | protocol | known)
    return read_runs(path)


def test_images_of_other_resolutions_are_not_compared(tmp_path):
    runs = write_with_resolutions(tmp_path / "x", (16, 8))
    assert list(curves_of(runs, "fake_psnr")) == ["run_0 [1]", "run_1 [2]"]
    assert list(curves_of(runs, "encoder_loss")) == ["run_0", "run_1"]
    assert protocol_lines(runs) == [
        "FID, precision, recall: [1] digit-classifier features, 16x16, 9 real and 8 generated "
        "images; [2] digit-classifier features, 8x8, 9 real and 8 generated images",
        "fake PSNR, fake SSIM: [1] 16x16, 8 generated images; [2] 8x8, 8 generated images",
        "real PSNR, real SSIM: [1] 16x16, 9 test images; [2] 8x8, 9 test images",
    ]
    assert [row[9] for row in final_rows(runs)] == ["30.00 [1]", "30.00 [2]"]


def test_an_unknown_resolution_is_that_of_the_other_rows(tmp_path):
    runs = write_with_resolutions(tmp_path / "x", (None, 16, 16), real_images_sha256="same")
    for metric in ("fid", "fake_psnr", "real_ssim"):
        assert len(name_protocols(runs, metric)) == 1
        assert list(curves_of(runs, metric)) == ["run_0", "run_1", "run_2"]
    assert [row[9] for row in final_rows(runs)] == ["30.00"] * 3
    runs = write_with_resolutions(tmp_path / "y", (16, None, 8))
    assert list(name_protocols(runs, "fake_ssim").values()) == [
        "16x16, 8 generated images",
        "unknown resolution, 8 generated images",
        "8x8, 8 generated images",
    ]


def test_two_protocols_of_a_run_look_different(tmp_path):
    folder = write_measured_run(tmp_path, "normal_dls_dg")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").open()]
    rows[2]["protocol"] = PROTOCOL | {"fake_images": 12}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = styles_of(read_runs(tmp_path), "fake_psnr").values()
    assert first == PAPER_STYLES["dls_dg"][1]
    assert (first.color, "dashed") == second[:2]
    assert first.marker != second.marker


def test_styles_stay_when_other_runs_have_no_metrics(tmp_path):
    runs = {name: {"label": name, "set": {"data.split_seed": index}}
            for index, name in enumerate(("first", "second", "third"))}  # fmt: skip
    runs |= {"normal_dls_dg": None, "uniform_dls_dg": None}
    seen = []
    for name in ("uniform_dls_dg", "third", "first", "second", "normal_dls_dg"):
        write_own_run(tmp_path / "x", name, runs)
        seen.append(styles_of(read_runs(tmp_path / "x")))
    last = seen[-1]
    for styles in seen:
        assert styles.items() <= last.items()
    assert len(set(last.values())) == 5
    paper = PAPER_STYLES["dls_dg"][1]
    assert last["DLS, DG (normal)"] == paper == run_style(0)  # the others begin after it
    assert last["DLS, DG (uniform)"] == paper._replace(dash="dashdot")
    assert [last[name] for name in ("first", "second", "third")] == [
        run_style(index) for index in (1, 2, 3)
    ]


def test_runs_of_a_group_share_color_and_marker_and_differ_in_dashes(tmp_path):
    groups = {"hinge": "Hinge", "other": None, "hinge_mse": "Hinge", "squares": "Least squares"}
    runs = {name: {"label": name, "group": group, "set": {"data.split_seed": index}}
            for index, (name, group) in enumerate(groups.items())}  # fmt: skip
    for name in runs:
        write_own_run(tmp_path / "x", name, runs)
    first = run_style(0)
    assert styles_of(read_runs(tmp_path / "x")) == {
        "hinge": first,
        "other": run_style(1),
        "hinge_mse": first._replace(dash="dashed"),
        "squares": run_style(2),
    }


def test_no_run_looks_like_one_of_a_group(tmp_path):
    groups = ["large"] * 6 + [None] * 9 + [f"group {index // 2}" for index in range(20)]
    runs = {f"run{index}": {"label": f"run{index}", "group": group,
                            "set": {"data.split_seed": index}}
            for index, group in enumerate(groups)}  # fmt: skip
    write_own_run(tmp_path / "x", "run0", runs)
    (run,) = read_runs(tmp_path / "x")
    styles = choose_styles([run._replace(name=name) for name in runs])
    assert len(set(styles)) == len(runs)
    assert len({style.color for style in styles[:6]}) == 1


def test_runs_of_several_experiments_have_styles_in_their_order(two):
    styles = styles_of(read_compared_runs(two))
    assert list(styles.values()) == [run_style(index) for index in range(3)]


def test_seeds_and_runs_can_be_compared_too(two, tmp_path):
    first, _ = two
    runs = read_compared_runs([first / "wide", first / "normal_dls_dg" / "seed_0"])
    assert [run.name for run in runs] == ["wide", "normal_dls_dg"]
    write_own_run(first, "wide", seed=1)
    runs = read_compared_runs([first / "wide" / "seed_0", first / "wide" / "seed_1"])
    assert len({run.name for run in runs}) == len({run.label for run in runs}) == 2


def test_what_cannot_be_compared(two, command, tmp_path):
    first, second = two
    (tmp_path / "empty").mkdir()
    for folders, message in (
        ((first, first), "is named twice, by"),
        ((first, first / "wide"), "is named twice, by"),
        ((first, tmp_path / "empty"), f"{tmp_path / 'empty'}: no run with metrics here"),
        ((first, tmp_path / "nowhere"), "nowhere: no such folder"),
        ((second,), "compare takes two runs or more. Received: 1"),
        ((), "compare takes two runs or more. Received: 0"),
    ):
        code, _, errors = command("compare", *folders, "--out", tmp_path / "compared")
        assert_user_error(code, errors, message)
        assert not (tmp_path / "compared").exists()
    code, _, errors = command("compare", first, second, "--out", tmp_path / "empty")
    assert_user_error(code, errors, "empty is there already; choose another --out")
    with pytest.raises(UserError, match="named twice"):
        read_compared_runs([first, first / ".." / "first"])


def test_folders_that_hold_other_runs_are_left_out(own, tmp_path):
    experiment = shutil.copytree(own, tmp_path / "mine")
    shutil.copytree(experiment / "wide", experiment / "wide_old")
    with pytest.warns(UserWarning, match="wide_old holds wide; left out"):
        assert [run.name for run in read_runs(experiment)] == list(OWN)


def test_labels_and_order_of_a_changed_config(own):
    reversed_runs = {name: OWN[name] for name in reversed(OWN)} | {"uniform": {"label": "new"}}
    values = merge(TINY, {"experiment.runs": reversed_runs})
    runs = read_runs(own, Config.model_validate(values))
    assert [run.label for run in runs] == ["DLS, DG (normal)", "new", "$64 <b>channels"]


def test_results_of_one_config_in_two_places(own, tmp_path, empty_curves):
    here, there = (shutil.copytree(own, tmp_path / place / "mine") for place in ("here", "there"))
    runs = read_compared_runs([here, there])
    assert [run.name for run in runs[::3]] == ["here/mine/wide", "there/mine/wide"]
    assert runs[3].label == "$64 <b>channels (there/mine)"
    (tmp_path / "out").mkdir()
    sheets = draw_figures(runs, tmp_path / "out", compares=True).sheets
    assert len(sheets) == len(set(sheets)) == 18
    assert sheets[0] == "here_mine_wide_fake_reconstructed"


def test_a_damaged_sheet_is_left_out(own, tmp_path, empty_curves):
    experiment = shutil.copytree(own, tmp_path / "mine")
    sheet = experiment / "wide" / "seed_0" / "images" / "epoch_0003" / "fake_reconstructed.png"
    sheet.write_bytes(b"")
    with pytest.warns(UserWarning, match="^image sheets missing or damaged: 1$"):
        drawn = draw_figures(read_runs(experiment), experiment / "figures")
    assert list(drawn.missing) == [
        "wide_fake_reconstructed", "figure_02", "figure_04", "figure_06", "figure_08", "figure_10",
        "figure_13", "figure_15",
    ]  # fmt: skip
    assert str(sheet) in drawn.missing["wide_fake_reconstructed"]
    assert "wide_fake_reconstructed" not in drawn.sheets
    assert "wide_interpolation" in drawn.sheets
