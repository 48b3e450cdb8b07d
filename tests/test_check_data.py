"""`python main.py check-data` finds every planted fault and says whether training would fail."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf

from config import load
from data.preflight import check_data, summary_lines
from main import app
from tests.conftest import write_folder
from tests.test_images import bomb


def jpeg(seed, height=24, width=20):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return tf.io.encode_jpeg(pixels).numpy()


FAULTS = {
    "bad_00.jpg": (b"", "empty file"),
    "bad_01.png": (b"", "empty file"),
    "bad_02.jpg": (jpeg(1)[:-1], "truncated or damaged"),
    "bad_03.jpg": (jpeg(2)[:300], "truncated or damaged"),
    "bad_04.jpg": (jpeg(3)[:30], "truncated or damaged"),
    "bad_05.png": (tf.io.encode_png(np.zeros((9, 9, 3), np.uint8)).numpy()[:-20], "truncated"),
    "bad_06.jpg": (b"<html>404 not found</html>", "not a JPEG, PNG, WebP or BMP image"),
    "bad_07.jpg": (b"GIF89a\1\0\1\0\0\0\0;", "not a JPEG, PNG, WebP or BMP image"),
    "bad_08.webp": (b"RIFF\x10\0\0\0WEBPVP8 ", "truncated or damaged"),
    "bad_09.bmp": (b"BM" + bytes(10), "not a JPEG, PNG, WebP or BMP image"),
    "bad_10.png": (bomb(), "decompression bomb"),
    "bad_11.jpg": (bytes(5000), "not a JPEG, PNG, WebP or BMP image"),
    "bad_12.jpg": (None, "cannot be read: no such file"),  # a link to nowhere
}
SMALL = {f"small_{index}.jpg": jpeg(100 + index, 15, 40) for index in range(3)}
GOOD = {f"good_{index:02d}.jpg": jpeg(200 + index) for index in range(40)}
DUPLICATES = {  # the last 8 names are for testing
    "good_03_again.jpg": GOOD["good_03.jpg"],
    "good_03_once_more.jpg": GOOD["good_03.jpg"],
    "zz_test_1.jpg": GOOD["good_05.jpg"],
    "zz_test_2.jpg": jpeg(7),
    "zz_test_3.jpg": jpeg(7),
}


@pytest.fixture
def faulty(tmp_path, config_file):
    """A function: the path of a config for a folder of 61 images with 20 faults."""
    files = {name: content for name, (content, _) in FAULTS.items() if content is not None}
    source = write_folder(tmp_path / "images", files | SMALL | GOOD | DUPLICATES)
    (tmp_path / "images" / "bad_12.jpg").symlink_to(tmp_path / "nowhere")
    changes = {"data.source": source, "data.train_size": None, "data.test_size": 8}

    def make(**options):
        return config_file(**changes | {f"data.{key}": value for key, value in options.items()})

    return make


def without_folders(names):
    return [name.rsplit("/", 1)[-1] for name in names]


def test_all_20_planted_faults_are_found(faulty):
    calls = []
    result = check_data(load(faulty()), lambda *call: calls.append(call))
    assert calls == [(61, 61)]
    assert result["images"] == 61
    assert result["splits"] == {"train": 53, "test": 8, "unused": 0}
    found = {without_folders([bad["name"]])[0]: bad["reason"] for bad in result["bad"]}
    assert found.keys() == FAULTS.keys()
    for name, (_, reason) in FAULTS.items():
        assert found[name].startswith(reason)
    assert without_folders(result["smaller"]) == list(SMALL)
    duplicates = result["duplicates"]
    assert [without_folders(same) for same in duplicates["train"]] == [
        ["good_03.jpg", "good_03_again.jpg", "good_03_once_more.jpg"]
    ]
    assert [without_folders(same) for same in duplicates["test"]] == [
        ["zz_test_2.jpg", "zz_test_3.jpg"]
    ]
    assert [without_folders(same) for same in duplicates["between"]] == [
        ["good_05.jpg", "zz_test_1.jpg"]
    ]
    assert result["sizes"] == {"24 x 20": 45, "15 x 40": 3}
    assert result["shorter_side"] == {"8 to 15": 3, "16 to 31": 45}
    (failure,) = result["failures"]
    assert "bad_00.jpg: empty file (and 12 more)" in failure


def test_the_summary_names_all_faults(faulty):
    text = "\n".join(summary_lines(check_data(load(faulty()))))
    for name in [*FAULTS, *SMALL, *DUPLICATES]:
        assert f"/{name}" in text
    assert "13 bad images (training refuses them):" in text
    assert "53 train, 8 test, 0 unused" in text
    assert "training would fail:" in text


def test_training_can_begin_without_the_bad_images(faulty):
    result = check_data(load(faulty(on_bad_image="skip")))
    assert result["splits"] == {"train": 40, "test": 8, "unused": 13}
    assert len(result["bad"]) == 13
    assert result["failures"] == []
    assert list(summary_lines(result))[-1] == "training can begin"


def test_every_call_looks_at_every_image(faulty, tmp_path, monkeypatch):
    check_data(load(faulty()))
    path = tmp_path / "images" / "good_00.jpg"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(bytes(path.stat().st_size))  # its size and time stay the same
    os.utime(path, ns=times)
    assert len(check_data(load(faulty()))["bad"]) == 14


@pytest.mark.parametrize(
    ("options", "code"), [({}, 1), ({"on_bad_image": "skip"}, 0), ({"split": 1e-9}, 1)]
)
def test_the_exit_code_and_the_json_file(faulty, tmp_path, capsys, options, code):
    arguments = ["check-data", str(faulty(**options)), "--out", str(tmp_path / "results")]
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    assert ended.value.code == code
    output = capsys.readouterr().out
    result = json.loads((tmp_path / "results" / "tiny" / "check_data.json").read_text())
    assert len(result["bad"]) == 13
    assert ("training would fail" in output) == (code == 1) == bool(result["failures"])


def test_digits_have_no_faults(make_config):
    result = check_data(make_config())
    assert result["images"] == 1797
    assert result["splits"] == {"train": 16, "test": 8, "unused": 1773}
    assert result["failures"] == []
    too_few = check_data(make_config(**{"data.train_size": 3}))
    assert "fewer than one batch of 4" in too_few["failures"][0]
    too_many = check_data(make_config(**{"data.test_size": 1797, "data.train_size": None}))
    assert (
        "0 images to train, fewer than 1; data.train_size is None, test_size 1797"
        in (too_many["failures"][0])
    )
