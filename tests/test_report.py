"""The page about a made-up experiment, as text and in a browser."""

import base64
import html
import io
import json
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from data.storage import save_image
from evaluate.report.page import SHEETS, spread, write_report
from tests.conftest import write_measured_run, write_sheets
from train.runs.experiment import read_runs

NAME = "<b>one & two"
EPOCHS = 14
SHOWN = [1, 2, 3, 5, 6, 7, 8, 9, 10, 12, 13, 14]
SCALE = np.array([0.5, 1.5, 1.0], np.float32)
RAMP = np.linspace(0, 255, 1000).round().astype(np.uint8)  # as wide as no sheet on the page


class Page(HTMLParser):
    """Its tags with attributes, the texts outside of scripts, and the data in it."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self.data, self.inside = [], [], None, ("", {})
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.inside = tag, dict(attributes)
        self.tags.append(self.inside)

    def handle_endtag(self, tag):
        self.inside = ("", {})

    def handle_data(self, text):
        tag, attributes = self.inside
        if attributes.get("id") == "data":
            self.data = json.loads(text, parse_constant=pytest.fail)  # such as NaN
        elif tag not in ("script", "style"):
            self.texts.append(" ".join(text.split()))

    def lines(self, title):
        """{name as it is read: trace} of the lines of a plot."""
        titles = [a["aria-label"] for tag, a in self.tags if a.get("class") == "plot"]
        plot = self.data["plots"][titles.index(title)]
        lines = [trace for trace in plot["data"] if "fill" not in trace]
        return {html.unescape(trace["name"].replace("<br>", " ")): trace for trace in lines}


def decoded(address):
    kind, _, content = address.partition(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"), float)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A page with two runs of 14 epochs; one has images, the other is in its 15th epoch."""
    experiment = tmp_path_factory.mktemp("made") / NAME
    run = write_measured_run(experiment, "normal_dls_dg", epochs=EPOCHS)
    metrics = (
        write_measured_run(experiment, "normal_mse_d", epochs=EPOCHS, offset=1.0) / "metrics.jsonl"
    )
    metrics.write_text(metrics.read_text().replace('"fid": 21.0', '"fid": NaN'))
    for epoch in range(1, EPOCHS + 2):
        write_sheets(run, epoch)
        np.save(run / "images" / f"epoch_{epoch:04d}" / "scale.npy", SCALE / epoch)
    images = [run / "images" / f"epoch_{epoch:04d}" for epoch in range(EPOCHS + 1)]
    save_image(images[2] / "real_reconstructed.png", np.tile(RAMP[None, :, None], (500, 1, 3)))
    sheet = images[3] / "real_reconstructed.png"
    sheet.write_bytes(sheet.read_bytes()[:5000])
    (images[5] / "interpolation_1.png").unlink()
    (images[6] / "scale.npy").write_bytes(b"\x93NUMPY")
    path = write_report(read_runs(experiment), experiment)
    return SimpleNamespace(path=path, page=Page(path), images=images)


def test_nothing_is_loaded_from_elsewhere(made):
    addresses = [a[key] for _, a in made.page.tags for key in ("src", "href") if key in a]
    assert not [address for address in addresses if "//" in address]
    assert "src" not in [key for tag, a in made.page.tags if tag == "script" for key in a]
    policy = next(a["content"] for _, a in made.page.tags if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_names_are_escaped_and_links_lead_to_files(made):
    assert NAME in made.page.texts
    assert "b" not in {tag for tag, _ in made.page.tags}
    links = [a["href"] for tag, a in made.page.tags if tag == "a"]
    assert {f"normal_{run}/seed_0/{file}" for run in ("dls_dg", "mse_d")
            for file in ("config.yaml", "metrics.jsonl")} <= set(links)  # fmt: skip
    assert all((made.path.parent / link).exists() for link in links)


def test_the_table_and_what_was_run(made):
    texts = [text for text in made.page.texts if text]
    row = texts.index("normal_mse_d")
    last = 10.0 * EPOCHS + 1
    assert texts[row : row + 4] == ["normal_mse_d", "14", f"{last:.3f}", f"{last:.1f}"]
    for label, value in {
        "trained": "2 trainings of 2 runs (seed 0)", "data source": "digits"
    }.items():  # fmt: skip
        assert texts[texts.index(label) + 1] == value


def test_curves_have_the_values_of_the_rows(made):
    lines = made.page.lines("Figure 3: Average L_enc, Z ~ N(0, 1²)")
    assert lines["DLS, DG"]["x"] == list(range(1, EPOCHS + 1))
    assert lines["DLS, DG"]["y"] == [10.0 * epoch for epoch in range(1, EPOCHS + 1)]
    assert lines["No DLS, D"]["y"][0] == 11.0
    assert lines["No DLS, D"]["line"]["color"] == "#f2a154"
    fids = made.page.lines("Figure 1: FID comparison, Z ~ N(0, 1²)")["No DLS, D"]
    assert (fids["x"][:2], fids["y"][:2]) == ([1, 3], [11.0, 31.0])  # NaN was not measured
    entropy = made.page.lines("Figure 5: Differential latent entropy of DLSGAN, Z ~ N(0, 1²)")
    assert list(entropy) == ["DLS, DG", "greatest possible: 14.2"]
    assert "Recall, Z ~ N(0, 1²)" in made.page.texts
    assert "Recall, Z ~ U(-√3, √3)" not in made.page.texts  # no such run


def test_images_are_those_of_the_files_and_at_most_768_wide(made):
    (view,) = made.page.data["views"]  # the other run has no images
    assert set(view["sheets"]) == set(SHEETS)
    wide = decoded(view["sheets"]["real_reconstructed"]["2"])
    assert wide.shape == (384, 768, 3)
    np.testing.assert_allclose(wide[:, ::10, 1].mean(axis=0), RAMP[0::13][:77], atol=4)
    expected = np.asarray(Image.open(made.images[8] / "fake_reconstructed.png"), float)
    shown = {epoch: decoded(view["sheets"]["fake_reconstructed"][epoch]) for epoch in "78"}
    assert np.abs(shown["8"] - expected).mean() < 0.5 * np.abs(shown["7"] - expected).mean()


def test_epochs_are_left_out_and_that_is_reported(made):
    (view,) = made.page.data["views"]
    assert view["epochs"] == SHOWN
    assert list(map(int, view["sheets"]["fake_reconstructed"])) == SHOWN
    assert any("up to 2 are left out" in text for text in made.page.texts)
    assert spread([4, 6]) == [4, 6]
    assert spread(list(range(1, 51))) == [1, 5, 10, 14, 19, 23, 28, 32, 37, 41, 46, 50]


def test_what_is_missing_or_damaged_is_left_out(made):
    (view,) = made.page.data["views"]
    sheets = {sheet: set(SHOWN) - set(map(int, of)) for sheet, of in view["sheets"].items()}
    assert sheets == {
        "real_reconstructed": {3}, "fake_reconstructed": set(), "interpolation_1": {5}
    }  # fmt: skip
    assert set(SHOWN) - set(map(int, view["scales"])) == {6}
    assert view["scales"]["5"] == [0.3, 0.2, 0.1]


def test_several_seeds(tmp_path):
    for seed, offset in ((0, 0.0), (10, 2.0)):
        run = write_measured_run(tmp_path, "uniform_dls_d", seed=seed, offset=offset)
        write_sheets(run, epoch=3)
    (run / "config.yaml").unlink()
    page = Page(write_report(read_runs(tmp_path), tmp_path))
    title = "Figure 4: Average L_enc, Z ~ U(-√3, √3)"
    assert page.lines(title)["DLS, D"]["y"] == [11.0, 21.0, 31.0]
    assert page.lines(title)["DLS, D"]["text"][0] == " (9.586 to 12.41)"
    assert [view["name"] for view in page.data["views"]] == [
        "uniform_dls_d, seed 0", "uniform_dls_d, seed 10"
    ]  # fmt: skip
    assert "2 trainings of 1 run (seeds 0, 10)" in page.texts
    assert any("± is one standard deviation over the seeds." in text for text in page.texts)
    assert not any("left out" in text for text in page.texts)


def test_runs_with_one_seed_beside_runs_with_several(tmp_path):
    write_measured_run(tmp_path, "normal_dls_dg")
    write_measured_run(tmp_path, "normal_dls_dg", seed=1, offset=2.0)
    write_measured_run(tmp_path, "normal_mse_d", changes={"latent.dim": 12})
    page = Page(write_report(read_runs(tmp_path), tmp_path))
    texts = " ".join(page.texts)
    assert "3 trainings of 2 runs (seeds 0, 1)" in texts
    assert "10 (2 trainings), 12 (1 training)" in texts
    several = "; for runs with several seeds one standard deviation over the seeds."
    assert f"± is half a 95 % interval{several}" in texts
    assert f"The bands are 95 % intervals{several}" in texts


@pytest.mark.long
@pytest.mark.parametrize("width", [390, 1280])
def test_legends_of_many_runs_lie_below_plots_of_one_height(tmp_path, browser, width):
    labels = [f"run {i}" if i % 5 else f"run {i}, <b>a label</b> " + "w" * 30 for i in range(20)]
    runs = {f"run_{i}": {"label": label, "set": {"train.r1_weight": 2.0 + i}}
            for i, label in enumerate(labels)}  # fmt: skip
    for name, run in runs.items():
        write_measured_run(tmp_path, name, changes={"experiment.runs": runs} | run["set"])
    path = write_report(read_runs(tmp_path), tmp_path)
    page = browser.new_page(viewport={"width": width, "height": 900})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    plot = page.locator(".plot").first
    axes, legend, whole = (
        place.bounding_box()
        for place in (plot.locator(".gridlayer").first, plot.locator(".legend .bg"), plot)
    )
    assert legend["y"] > axes["y"] + axes["height"]
    assert whole["y"] + whole["height"] == pytest.approx(legend["y"] + legend["height"], abs=2)
    assert whole["height"] - legend["height"] == pytest.approx(320, abs=2)
    assert legend["x"] + legend["width"] <= whole["x"] + whole["width"] + 1
    texts = plot.locator(".legendtext").all_text_contents()
    assert len(texts) == 20
    assert texts[0].replace("\n", " ").startswith("run 0, <b>a label</b>")
    assert plot.locator(".legend .scrollbar").bounding_box()["height"] == 0
    assert errors == []


@pytest.mark.long
def test_in_a_browser(made, browser):
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="light")
    messages, requests = [], []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(made.path.as_uri())
    image, slider = page.locator("[data-sheet=real_reconstructed] img"), page.locator("#epoch")
    sheets = made.page.data["views"][0]["sheets"]["real_reconstructed"]
    assert image.get_attribute("src") == sheets["14"]
    slider.focus()
    slider.press("ArrowLeft")
    assert image.get_attribute("src") == sheets["13"]
    assert image.get_attribute("alt").startswith("normal_dls_dg, seed 0, epoch 13: In each pair")
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 398
    slider.fill("2")  # the third epoch, whose file is damaged
    assert not image.is_visible()
    assert page.locator("[data-sheet=real_reconstructed] span").is_visible()
    assert page.locator("#scale .scatterlayer .trace").count() == len(SHOWN) - 1
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    line = page.locator(".plot").first.locator(".js-line").nth(1)  # after the band's
    color = "line => getComputedStyle(line).stroke"
    assert line.evaluate(color) == "rgb(11, 79, 156)"
    page.emulate_media(color_scheme="dark")
    assert line.evaluate(color) == "rgb(84, 132, 186)"
    assert messages == []
    assert {address.partition(":")[0] for address in requests} <= {"file", "data"}
    assert len([address for address in requests if address.startswith("file")]) == 1
