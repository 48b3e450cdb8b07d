"""The page about made-up experiments in Chromium: widths, colours, keys, paper."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from evaluate.report.page import write_report
from tests.conftest import write_measured_run, write_sheets
from train.runs.experiment import read_runs

pytestmark = pytest.mark.long
EPOCHS = 4
INTERVAL = [11.111, 12.222]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of four runs; two have images, the third epoch of one has no samples."""
    experiment = tmp_path_factory.mktemp("made") / "experiment"
    names = ["normal_dls_dg", "normal_dls_d", "normal_mse_dg", "normal_mse_d"]
    for offset, name in enumerate(names):
        run = write_measured_run(experiment, name, offset=offset, epochs=EPOCHS)
        rows = [json.loads(line) for line in (run / "metrics.jsonl").open()]
        for row in rows:
            row["intervals"] = dict.fromkeys([key for key in row if key != "epoch"], INTERVAL)
            row["intervals"].pop("protocol")
            row |= {"density": 0.5, "coverage": 0.5, "fresh_encoder_loss": 0.5 + offset}
        (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        if name in ("normal_dls_dg", "normal_dls_d"):
            for epoch in range(1, EPOCHS + 1):
                write_sheets(run, epoch)
                scale = run / "images" / f"epoch_{epoch:04d}" / "scale.npy"
                np.save(scale, np.array([0.5, 1.5, 1.0], np.float32) / epoch)
    (experiment / "normal_dls_d/seed_0/images/epoch_0003/samples.png").unlink()
    return write_report(read_runs(experiment), experiment)


@pytest.fixture
def open_page(report, browser):
    """A function: a page of a width and colour scheme that must log nothing and load nothing."""
    messages, requests, opened = [], [], []

    def open_(width=1280, scheme="light", path=report):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: requests.append(request.url.partition(":")[0]))
        page.set_default_timeout(120_000)
        page.goto(path.as_uri())
        opened.append(page)
        return page

    yield open_
    assert messages == []
    assert requests.count("file") == len(opened)
    assert set(requests) <= {"file", "data"}


def wait_for(page, condition):
    """As `page.wait_for_function`, which a page with a security policy forbids."""
    for _ in range(600):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never true: {condition}")


def shade(region):
    """How much darker the right end of a region is than its middle: grey levels of 255."""
    pixels = np.asarray(Image.open(io.BytesIO(region.screenshot())).convert("L"), float)
    return pixels[:, -40:-30].max(axis=1).mean() - pixels[:, -4:-1].max(axis=1).mean()


def test_tables_fit_or_show_that_they_scroll(open_page):
    wide = open_page(1280)
    sizes = "places => places.map(place => place.scrollWidth - place.clientWidth)"
    assert set(wide.locator(".scroll").evaluate_all(sizes)) == {0}
    phone = open_page(390)
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    region = phone.locator(".scroll").first
    assert region.evaluate("place => place.scrollWidth") > 600
    assert shade(region) > 50
    region.evaluate("place => place.scrollTo(10000, 0)")
    assert shade(region) < 5


def test_a_table_is_sorted_by_mouse_and_keyboard(open_page):
    page = open_page()
    table = page.locator(".metrics").first
    title = table.locator("th", has_text="FID")
    names = table.locator("tbody th")
    before = names.all_text_contents()
    title.locator("button").click()
    assert (title.get_attribute("aria-sort"), names.all_text_contents()) == ("ascending", before)
    title.locator("button").press("Enter")
    assert title.get_attribute("aria-sort") == "descending"
    assert names.all_text_contents() == before[::-1]
    assert table.locator(".best").first.evaluate("e => getComputedStyle(e).fontWeight") == "700"
    assert "40.0 (best)" in table.locator(".best").all_text_contents()


def test_every_line_can_be_seen_on_its_background(open_page):
    script = """() => {
      const light = text => {
        const [r, g, b] = text.match(/[\\d.]+/g).map(c => c / 255).map(
          c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
      };
      const paper = light(getComputedStyle(document.body).backgroundColor);
      const lines = [...document.querySelectorAll(".js-line")].map(e => getComputedStyle(e));
      return lines.filter(style => style.strokeWidth !== "0px").map(style => light(style.stroke))
        .map(line => Math.max(line, paper) / Math.min(line, paper));
    }"""
    for scheme in ("light", "dark"):
        ratios = open_page(scheme=scheme).evaluate(script)
        assert len(ratios) > 36
        assert min(ratios) > 3


def test_legends_work_by_keyboard_and_hidden_curves_stay_hidden(open_page):
    page = open_page()
    figure = page.locator("#curves figure").first
    shown = figure.locator(".scatterlayer .trace")
    first = figure.locator(".legend button").first
    assert shown.count() == 8
    first.press("Enter")
    assert (first.get_attribute("aria-pressed"), shown.count()) == ("false", 6)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 800, "height": 390})
    assert (first.get_attribute("aria-pressed"), shown.count()) == ("false", 6)
    figure.locator(".legend button").nth(1).dblclick()
    assert shown.count() == 2
    figure.locator(".legend button").nth(1).dblclick()
    assert shown.count() == 8


def test_the_legend_has_the_last_values_or_those_at_the_pointer(open_page):
    page = open_page()
    figure = page.locator("#curves figure").first
    assert figure.locator(".at").text_content() == "Last epoch"
    assert figure.locator(".value").all_text_contents() == ["41", "40", "43", "42"]
    figure.locator(".plot").hover()
    wait_for(page, "document.querySelector('.at').textContent !== 'Last epoch'")
    assert figure.locator(".at").text_content() in ("Epoch 2", "Epoch 3")
    value = figure.locator(".value").first.text_content()
    assert value in ("21 (11.11 to 12.22)", "31 (11.11 to 12.22)")
    assert page.locator(".hoverlayer .hovertext").count() == 0


def test_axes_can_be_logarithmic_and_curves_smooth(open_page):
    page = open_page()
    axis = "name => document.querySelector('.plot')._fullLayout.yaxis[name]"
    line = "document.querySelector('.plot').data[1].y"
    assert page.evaluate(axis, "type") == "linear"
    assert page.evaluate(line) == [11.0, 21.0, 31.0, 41.0]
    page.locator("#log").check()
    page.locator("#smoothing").select_option("3")
    assert page.evaluate(axis, "type") == "log"
    assert page.evaluate(line) == [16.0, 21.0, 31.0, 36.0]
    assert page.locator(".value").first.text_content() == "41"


def test_nothing_overlaps_after_a_phone_is_turned(open_page):
    page = open_page(390)
    page.set_viewport_size({"width": 844, "height": 390})
    wait_for(page, "document.querySelector('.main-svg').clientWidth > 500")
    boxes = page.locator("#curves figure > *").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect()).map(b => [b.top, b.bottom, b.right])"
    )
    tops, bottoms, rights = zip(*boxes, strict=True)
    assert all(top >= bottom - 1 for top, bottom in zip(tops[1:], bottoms, strict=False))
    assert max(rights) <= 844
    plots = page.locator(".plot .main-svg:first-child")
    assert plots.evaluate_all("all => Math.max(...all.map(e => e.clientHeight))") == 300


def test_two_runs_are_side_by_side_at_one_epoch(open_page):
    page = open_page(scheme="dark")
    figure = page.locator("[data-sheet=samples]")
    first, second = (figure.locator(f"[data-side={side}]") for side in ("run", "other"))
    assert second.is_hidden()
    page.locator("#other").select_option("1")
    assert second.locator("strong").text_content() == "normal_dls_d, seed 0"
    wait_for(
        page, "[...document.querySelectorAll('canvas')].every(c => [135, 141].includes(c.width))"
    )
    canvas = first.locator("canvas")
    assert canvas.evaluate("e => getComputedStyle(e).imageRendering") == "pixelated"
    pixel = "e => [...e.getContext('2d').getImageData(16, 5, 1, 1).data]"
    assert canvas.evaluate(pixel) == [0, 0, 0, 0]  # the page is seen between images
    label = "normal_dls_dg, seed 0, epoch 4: Generated images, of the same latents in every epoch"
    assert canvas.get_attribute("aria-label") == label
    page.locator("#epoch").press("ArrowLeft")
    assert page.locator("#shown").text_content() == "3 of 4"
    assert second.locator(".missing").is_visible()
    assert canvas.is_visible()
    boxes = [side.bounding_box() for side in (first, second)]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert page.locator("#scale [data-side=other] .trace").count() == EPOCHS


def test_paper_is_light_whole_and_has_two_columns(open_page):
    page = open_page(1400, "dark")
    page.set_viewport_size({"width": 703, "height": 1000})  # A4 without margins
    page.emulate_media(media="print")
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    wait_for(page, "document.querySelector('.main-svg').clientWidth === 330")
    assert page.evaluate("document.documentElement.scrollWidth") == 703
    rights = "all => Math.max(...all.map(e => e.getBoundingClientRect().right))"
    assert page.locator("td, svg.main-svg, canvas").evaluate_all(rights) <= 703
    figures = page.locator("#curves figure")
    first, second = (figures.nth(index).bounding_box() for index in (0, 1))
    assert (first["y"], first["x"] < second["x"]) == (second["y"], True)
    assert figures.first.evaluate("e => getComputedStyle(e).breakInside") == "avoid"
    line = page.locator(".js-line").nth(1)
    assert line.evaluate("e => getComputedStyle(e).stroke") == "rgb(53, 133, 214)"


def test_without_scripts_a_notice_and_the_last_values_are_there(open_page, browser, report):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(report.as_uri())
    assert page.locator(".notice").is_visible()
    assert page.locator(".notice").text_content().startswith("JavaScript is off: the tables are")
    assert page.locator(".value").first.text_content() == "41"


@pytest.mark.parametrize("width", [390, 1280])
def test_legends_of_many_runs_lie_below_plots_of_one_height(tmp_path, open_page, width):
    labels = [f"run {i}" if i % 5 else f"run {i}, <b>a label</b> " + "w" * 30 for i in range(20)]
    runs = {f"run_{i}": {"label": label, "set": {"train.r1_weight": 2.0 + i}}
            for i, label in enumerate(labels)}  # fmt: skip
    for name, run in runs.items():
        write_measured_run(tmp_path, name, changes={"experiment.runs": runs} | run["set"])
    page = open_page(width, path=write_report(read_runs(tmp_path), tmp_path))
    assert page.evaluate("document.documentElement.scrollWidth") == width
    figure = page.locator("#curves figure").first
    plot, legend = (figure.locator(name).bounding_box() for name in (".plot", ".legend"))
    assert plot["height"] == 300
    assert legend["y"] >= plot["y"] + 300
    assert legend["x"] + legend["width"] <= width
    names = figure.locator(".legend button").all_text_contents()
    assert [name.strip() for name in names] == labels


def test_axe_finds_no_violation(open_page):
    api = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install -r requirements-optional.txt"
    )
    for width, scheme in ((1280, "light"), (390, "dark")):
        found = api.Axe().run(open_page(width, scheme)).response["violations"]
        assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []
