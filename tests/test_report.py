"""The page about a made-up experiment, as text; `test_report_in_browser.py` looks at it."""

import base64
import io
import json
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from data.storage import save_image
from evaluate.report.page import write_report
from evaluate.report.views import SHEETS, read_views, spread
from evaluate.sheets import tile
from tests.conftest import write_measured_run, write_sheets
from train.runs.experiment import read_runs

NAME = "<b>one & two"
EPOCHS = 14
SHOWN = [1, 2, 3, 5, 6, 7, 8, 9, 10, 12, 13, 14]
SCALE = np.array([0.5, 1.5, 1.0], np.float32)
RAMP = np.linspace(-1, 1, 128)  # a row of an image: eight are wider than a sheet on the page


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
        """{label: trace} of the lines of a plot."""
        titles = [a["aria-label"] for tag, a in self.tags if a.get("class") == "plot"]
        plot = self.data["plots"][titles.index(f"{title}; its last values follow")]
        return {trace["name"]: trace for trace in plot["data"] if "fill" not in trace}


def read_grey(path):
    return np.asarray(Image.open(path), float).mean(axis=-1)


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
    large = np.tile(RAMP[None, None, :, None], (8, 128, 1, 3))
    save_image(images[2] / "real_reconstructed.png", tile(large, group=2))
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
    assert lines["No DLS, D"]["line"] == {"color": "#cf7414", "dash": "dash"}
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
    assert wide.shape == (96, 768, 3)
    np.testing.assert_allclose(wide[48, :94, 1], np.linspace(0, 255, 96)[:94], atol=6)


def test_small_images_have_their_own_size_without_gaps(made):
    """16x16 pixels each, which the sheets show in 48x48."""
    (view,) = made.page.data["views"]
    for name, sheet in SHEETS.items():
        files = {e: read_grey(made.images[e] / f"{name}.png") for e in (7, 8)}
        shown = decoded(view["sheets"][name]["8"]).mean(axis=-1)
        assert shown.shape == (128, 128)
        left = 2 * 50 + (8 if sheet.group == 2 else 0)  # the third image of the second row
        third = {e: file[50 : 50 + 48 : 3, left : left + 48 : 3] for e, file in files.items()}
        distances = {e: np.abs(shown[16:32, 32:48] - image).mean() for e, image in third.items()}
        assert distances[8] < 0.5 * distances[7]


def test_many_runs_have_fewer_epochs_on_the_page(tmp_path):
    for seed in range(2):
        run = write_measured_run(tmp_path, "normal_dls_dg", seed=seed, epochs=20)
        for epoch in range(1, 21):
            (run / "images" / f"epoch_{epoch:04d}").mkdir(parents=True)
    (run,) = read_runs(tmp_path)
    folders = [(run, folder) for folder in run.folders]
    assert [len(view["epochs"]) for view in read_views(folders)] == [12, 12]
    assert [len(view["epochs"]) for view in read_views(folders * 12)] == [4] * 24


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
        "samples": set(), "real_reconstructed": {3}, "fake_reconstructed": set(),
        "interpolation_1": {5},
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
