"""The paper's figures, drawn from a made-up experiment with known numbers."""

import json
import os
import shutil

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from config import PAPER_RUNS, UserError
from data.storage import save_image
from evaluate.report import fonts
from evaluate.report.charts import comparison_charts, paper_charts
from evaluate.report.curves import draw_chart
from evaluate.report.figures import draw_figures, draw_interpolation, draw_pairs
from evaluate.report.plots import PAPERS, on_dark
from evaluate.report.results import final_rows
from evaluate.report.styles import PAPER_STYLES, run_style
from evaluate.sheets import tile
from tests.conftest import (
    PROTOCOL,
    assert_user_error,
    full_disk,
    read_files,
    write_measured_run,
    write_sheets,
)
from train.runs.experiment import read_runs


def axes_of(folder, number=None, name=None):
    """The axes of one of the paper's figures, by number or by the name of its file."""
    charts = list(paper_charts(read_runs(folder)))
    (chart,) = [c for n, c in charts if (n == number if number else c.name == name)]
    return draw_chart(chart).axes[0]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    for offset, name in enumerate(PAPER_RUNS):
        run = write_measured_run(folder, name, offset=offset)
        if name == "normal_dls_dg":
            write_sheets(run, epoch=3)
            (run / "images" / "epoch_0004").mkdir()  # no row yet: it is being drawn
    return folder


@pytest.fixture(scope="module")
def figures(experiment):
    """What `draw_figures` returns."""
    return draw_figures(read_runs(experiment), experiment / "figures")


def test_all_17_figures_are_drawn(figures):
    assert list(figures.numbered) == list(range(1, 18))
    assert (figures.missing, figures.curves, figures.sheets) == ({}, [], [])
    for number, path in figures.numbered.items():
        assert path.name == f"figure_{number:02d}.png"
        assert path.read_bytes().startswith(b"\x89PNG")
        for ending in (".svg", ".pdf"):
            assert path.with_suffix(ending).exists() == (number not in (11, 16, 17))


def test_texts_in_svg_and_pdf_are_texts(figures):
    path = figures.numbered[1]
    svg = path.with_suffix(".svg").read_text()
    assert ">DLS, DG</text>" in svg
    assert ">digit-classifier features</" in svg or "FID, digit-classifier features</" in svg
    assert b"/FontFile2" in path.with_suffix(".pdf").read_bytes()  # TrueType


def test_both_priors_share_an_axis(experiment):
    for first, second in ((1, 2), (3, 4), (7, 8)):
        assert axes_of(experiment, first).get_ylim() == axes_of(experiment, second).get_ylim()
    assert axes_of(experiment, 2).get_ylim() == pytest.approx((0.0, 37 + 0.05 * (37 - 14)))
    assert axes_of(experiment, 7).get_ylim() == pytest.approx((10 - 0.05 * 23, 37 + 0.05 * 23))


def test_methods_are_told_apart_without_colours(experiment):
    lines = axes_of(experiment, 2).lines
    assert len({line.get_marker() for line in lines}) == 4
    assert [line.get_linestyle() for line in lines] == ["--", "-", "--", "-"]
    chart = next(comparison_charts(read_runs(experiment)))
    assert len({series.style[1:] for series in chart.series}) == 8


def contrast(first, second):
    """The ratio of two colours' luminances, see WCAG 2."""
    light = []
    for color in (first, second):
        channels = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        light.append(linear @ (0.2126, 0.7152, 0.0722) + 0.05)
    return max(light) / min(light)


def test_every_colour_can_be_told_from_white_and_dark_pages():
    paper = [style.color for _, style in PAPER_STYLES.values()]
    for color in {*paper, *(run_style(index).color for index in range(8))}:
        assert contrast(color, PAPERS["light"]) > 3, color
        assert contrast(on_dark(color), PAPERS["dark"]) > 3, color


def test_a_curve_shows_the_four_methods_of_its_prior(experiment):
    axes = axes_of(experiment, 2)
    lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert lines == {
        "DLS, DG": [14.0, 24.0, 34.0],
        "DLS, D": [15.0, 25.0, 35.0],
        "No DLS, DG": [16.0, 26.0, 36.0],
        "No DLS, D": [17.0, 27.0, 37.0],
    }
    assert axes.get_title().startswith("Figure 2: FID comparison")
    assert axes.get_ylabel() == "FID, digit-classifier features\n9 real and 8 generated images"
    assert axes.get_xlabel() == "Epoch"


def test_entropy_is_shown_for_dls_only_with_its_greatest_value(experiment):
    axes = axes_of(experiment, 5)
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    greatest = 10 * 0.5 * np.log(2 * np.pi * np.e)
    assert set(lines) == {"DLS, D", "DLS, DG", f"greatest possible: {greatest:.1f}"}
    assert lines[f"greatest possible: {greatest:.1f}"][0] == pytest.approx(greatest)


def test_several_seeds_give_their_mean_and_a_band(tmp_path):
    write_measured_run(tmp_path, "normal_dls_d", seed=0)
    write_measured_run(tmp_path, "normal_dls_d", seed=1, offset=2.0)
    axes = axes_of(tmp_path, 3)
    assert list(axes.lines[0].get_ydata()) == [11.0, 21.0, 31.0]
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((11 - 2**0.5, 31 + 2**0.5))


def test_seeds_that_have_not_got_as_far_are_left_out_of_curve_and_table(tmp_path):
    for seed, offset, epochs in ((9, 0.0, 3), (10, 2.0, 3), (11, 100.0, 1)):
        write_measured_run(tmp_path, "normal_dls_d", seed=seed, offset=offset, epochs=epochs)
    (line,) = axes_of(tmp_path, 3).lines
    assert line.get_label() == "DLS, D (2 of 3 seeds)"
    assert list(line.get_ydata()) == [11.0, 21.0, 31.0]
    (texts,) = final_rows(read_runs(tmp_path))
    assert texts[:4] == ["normal_dls_d", "3 (2 of 3 seeds)", "31.000 ±1.414", "31.0 ±1.4"]
    write_measured_run(tmp_path, "normal_dls_d", seed=8, offset=1.0, epochs=4)
    axes = axes_of(tmp_path, 3)
    assert axes.lines[0].get_label() == "DLS, D (1 of 4 seeds)"
    assert list(axes.lines[0].get_ydata()) == [11.0, 21.0, 31.0, 41.0]
    (texts,) = final_rows(read_runs(tmp_path), with_intervals=True)
    assert texts[:3] == ["normal_dls_d", "4 (1 of 4 seeds)", "41.000"]


def test_one_seed_has_a_band_of_its_intervals(tmp_path):
    folder = write_measured_run(tmp_path, "normal_dls_d")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").open()]
    rows[1]["intervals"] = {"fid": [15.0, 26.0]}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    axes = axes_of(tmp_path, 1)
    band = axes.collections[0].get_paths()[0].vertices
    assert sorted(set(band[band[:, 0] == 2, 1])) == [15.0, 26.0]
    assert set(band[band[:, 0] == 3, 1]) == {30.0}  # an epoch without intervals


def test_precision_and_recall_are_drawn_beside(experiment, figures):
    for name in ("precision_normal", "precision_uniform", "recall_normal", "recall_uniform"):
        assert (experiment / "figures" / f"{name}.png").exists()
        assert (experiment / "figures" / f"{name}.svg").exists()
    axes = axes_of(experiment, name="recall_uniform")
    assert axes.get_ylabel() == "Recall, digit-classifier features\n9 real and 8 generated images"
    assert axes.get_title().startswith("Recall, $Z_i")


def test_what_is_missing_is_named(tmp_path, empty_curves):
    write_measured_run(tmp_path, "uniform_mse_d")
    drawn = draw_figures(read_runs(tmp_path), tmp_path / "figures")
    assert list(drawn.numbered) == [2, 4, 8, 10, 13, 15]
    folder = tmp_path / "figures"
    assert list(drawn.lines()) == [
        f"figures 2, 4, 8, 10, 13, 15 are in {folder}",
        "figure_01, figure_03, figure_05, figure_06, figure_07, figure_09, figure_12, figure_14 "
        "not drawn: no run measured it",
        "figure_11, figure_16, figure_17 not drawn: it shows normal_dls_dg",
    ]


def copy_runs(experiment, path):
    """A copy of an experiment of which nothing has been drawn."""
    return shutil.copytree(experiment, path, ignore=shutil.ignore_patterns("figures"))


def remove(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def truncate(path):
    path.write_bytes(path.read_bytes()[:500])


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def shrink(path):
    save_image(path, np.zeros((9, 9, 3), np.uint8))


@pytest.mark.parametrize(
    ("sheet", "damage", "number", "why"),
    [
        ("fake_reconstructed", remove, 11, "no such file or directory"),
        ("real_reconstructed", empty, 16, "not a png file"),
        ("real_reconstructed", truncate, 16, "image file is truncated"),
        ("interpolation_2", pipe, 17, "is a pipe"),
        ("interpolation_5", remove, 17, "no such file or directory"),
        ("interpolation_1", empty, 17, "not a png file"),
        ("interpolation_8", shrink, 17, "another size than interpolation_1.png"),
    ],
)
def test_all_but_a_missing_or_damaged_sheet_is_drawn(
    experiment, tmp_path, command, empty_curves, sheet, damage, number, why
):
    """The sheets after the last epoch count."""
    copied = copy_runs(experiment, tmp_path / "experiment")
    path = copied / "normal_dls_dg" / "seed_0" / "images" / "epoch_0003" / f"{sheet}.png"
    damage(path)
    with pytest.warns(UserWarning, match="^image sheets missing or damaged: 1$"):
        code, output, errors = command("figures", copied)
    assert (code, errors) == (0, "")
    others = [n for n in range(1, 18) if n != number]
    assert f"figures {', '.join(map(str, others))} are in {copied / 'figures'}\n" in output
    (line,) = [line for line in output.splitlines() if "not drawn" in line]
    assert line.startswith(f"figure_{number:02d} not drawn: {path}: {why}")
    names = {path.name for path in (copied / "figures").glob("figure_*.png")}
    assert names == {f"figure_{n:02d}.png" for n in others}


def test_a_full_disk_leaves_the_figures_as_they_were(figures, experiment, command):
    before = read_files(figures.folder)
    with full_disk(1000):
        code, _, errors = command("figures", experiment)
    message = f"error: {figures.folder / 'figure_01.png'}: file too large\n"
    assert (code, errors, read_files(figures.folder)) == (2, message, before)


def test_a_run_without_sheets_or_config_has_its_curves_drawn(experiment, tmp_path, empty_curves):
    copied = copy_runs(experiment, tmp_path / "experiment")
    seed = copied / "normal_dls_dg" / "seed_0"
    (seed / "config.yaml").unlink()
    with pytest.warns(UserWarning, match="^image sheets missing or damaged: 1$"):
        drawn = draw_figures(read_runs(copied), copied / "figures")
    assert drawn.missing == {"figure_17": f"{seed / 'config.yaml'}: no such file"}
    shutil.rmtree(seed / "images")
    with pytest.warns(UserWarning, match="^image sheets missing or damaged: 3$"):
        drawn = draw_figures(read_runs(copied), copied / "figures")
    assert list(drawn.numbered) == [n for n in range(1, 18) if n not in (11, 16, 17)]
    assert list(drawn.lines())[1:] == [
        "figure_11, figure_16, figure_17 not drawn: "
        f"{seed / 'images' / 'epoch_0003'}: no such folder"
    ]


def test_an_edited_row_or_record_is_named_and_nothing_is_drawn(experiment, tmp_path, command):
    for file, before, after, message in (
        ("metrics.jsonl", '"epoch": 2', '"epoch": "two"',
         " line 2: damaged: epoch: should be a valid integer. Received: 'two'; repair it, or"),
        ("config.yaml", "seed: 0", "seed: abc",
         ": damaged: recorded.seed: should be a valid integer. Received: 'abc'"),
    ):  # fmt: skip
        copied = copy_runs(experiment, tmp_path / file)
        path = copied / "uniform_mse_d" / "seed_0" / file
        path.write_text(path.read_text().replace(before, after))
        for arguments in (("figures", copied), ("compare", copied, "--out", tmp_path / "both")):
            code, _, errors = command(*arguments)
            assert_user_error(code, errors, f"{path}{message}")
        assert not (copied / "figures").exists()
        assert not (tmp_path / "both").exists()


def test_values_that_are_not_whole_are_shown(tmp_path):
    folder = write_measured_run(tmp_path, "normal_dls_d")
    row = {"epoch": 1, "informative_elements": 3.5, "fake_psnr": 1.0, "protocol": PROTOCOL}
    (folder / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    (texts,) = final_rows(read_runs(tmp_path))
    assert texts[:5] == ["normal_dls_d", "1", "", "", "3.5"]
    folder = write_measured_run(tmp_path, "normal_dls_d", seed=1)
    row["informative_elements"] = 4
    (folder / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    (texts,) = final_rows(read_runs(tmp_path))
    assert texts[:5] == ["normal_dls_d", "1", "", "", "3.8 ±0.4"]


def test_figure_17_stacks_one_row_of_each_element(tmp_path):
    folder = tmp_path
    rows = np.full((64, 16, 16, 3), -1.0)
    for rank in range(1, 9):  # the first latent's row of sheet r has brightness r / 8
        rows[:8] = rank / 4 - 1
        save_image(folder / f"interpolation_{rank}.png", tile(rows))
    figure = draw_interpolation(folder, "Figure 17", "normal")
    stacked = figure.axes[1].images[0].get_array()
    np.testing.assert_allclose(stacked[20::100, 20, 0], np.arange(1, 9) / 8, atol=0.01)


def test_all_text_lies_within_the_figures(experiment):
    runs = read_runs(experiment)
    figures = [draw_chart(chart) for number, chart in paper_charts(runs) if number]
    figures += [draw_chart(chart) for chart in comparison_charts(runs)]
    (run,) = [run for run in runs if run.name == "normal_dls_dg"]
    images = run.folders[0].images(3)
    title = "Figure 11: DLS, DG generated images reconstruction"
    figures.append(draw_pairs(images, "fake_reconstructed", title))
    figures.append(draw_interpolation(images, "Figure 17: Latent interpolation", "uniform"))
    for figure in figures:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        width, height = canvas.get_width_height()
        axes = [text for axes in figure.axes for text in (axes.title, axes.xaxis.label)]
        legends = [text for legend in figure.legends for text in legend.get_texts()]
        for text in figure.texts + axes + legends:
            box = text.get_window_extent()
            assert 0 <= box.x0 <= box.x1 <= width, text
            assert 0 <= box.y0 <= box.y1 <= height, text


def test_an_axis_that_cuts_values_says_so(tmp_path):
    folder = write_measured_run(tmp_path, "normal_dls_d")
    values = [20.0, 1.0, 0.5]
    rows = [
        {"epoch": epoch, "encoder_loss": value, "fake_psnr": 1.0, "protocol": PROTOCOL}
        for epoch, value in enumerate(values, start=1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    axes = axes_of(tmp_path, 3)
    assert axes.get_ylim() == (0, 1.5)
    assert [text.get_text() for text in axes.texts] == ["first epochs above 1.5 not shown"]


def test_a_folder_without_runs(tmp_path):
    with pytest.raises(UserError, match="no run with metrics here"):
        read_runs(tmp_path)


def test_runs_of_a_comparison_are_told_apart_with_and_without_colors():
    styles = [run_style(index) for index in range(64)]
    assert len(set(styles)) == 64
    assert len({style.color for style in styles}) == 8
    assert len({style[1:] for style in styles[:32]}) == 32
    assert {style[:2] for style in styles[:8]} == {(style.color, "solid") for style in styles}


def test_protocols_of_a_run_have_one_color_and_styles_that_no_run_has():
    styles = [run_style(index) for index in range(64)]
    for style in styles:
        others = [style.for_protocol(index) for index in range(1, 4)]
        assert style.for_protocol(0) == style
        assert len(set(others)) == 3
        assert not set(others) & set(styles)
        assert {other.color for other in others} == {style.color}


@pytest.mark.parametrize("count", [12, 40])
def test_a_legend_of_many_runs_is_drawn_whole(tmp_path, count):
    runs = {f"run_{i}": {"label": f"{i} " + "w" * 50, "set": {"train.r1_weight": 2.0 + i}}
            for i in range(count)}  # fmt: skip
    for name, run in runs.items():
        write_measured_run(tmp_path, name, changes={"experiment.runs": runs} | run["set"])
    chart = next(comparison_charts(read_runs(tmp_path)))
    figure = draw_chart(chart)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    (legend,) = figure.legends
    box, axes = legend.get_window_extent(), figure.axes[0].get_window_extent()
    assert len(legend.get_texts()) == count
    assert 0 <= box.y0 <= box.y1 <= height
    assert axes.x1 <= box.x0 <= box.x1 <= width
    assert axes.width > 5 * figure.dpi


def test_characters_in_no_font_are_boxes_with_one_warning(tmp_path, recwarn, monkeypatch):
    fonts._warn_once.cache_clear()
    monkeypatch.setattr(fonts, "_drawable_characters", lambda: frozenset(range(32, 127)))
    runs = {f"run_{i}": {"label": f"{label} $<b>", "set": {"train.r1_weight": 2.0 + i}}
            for i, label in enumerate(["日本語", "\N{PARTY POPPER}", "plain"])}  # fmt: skip
    for name, run in runs.items():
        write_sheets(write_measured_run(
            tmp_path, name, changes={"experiment.runs": runs} | run["set"]
        ), epoch=3)  # fmt: skip
    draw_figures(read_runs(tmp_path), tmp_path / "figures")
    (warning,) = recwarn
    assert "figures show □ instead" in str(warning.message)
    chart = next(comparison_charts(read_runs(tmp_path)))
    labels = [line.get_label() for line in draw_chart(chart).axes[0].lines]
    assert labels == [r"□□□ \$<b>", r"□ \$<b>", r"plain \$<b>"]
