"""`python main.py check-data` finds every planted fault and says whether training would fail."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf

from config import load
from data.loading import prepare
from data.preflight import check_data, summary_lines
from main import app
from tests.conftest import lock, write_folder
from tests.test_images import animation, bomb, corrupt_jpeg


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


def test_unread_folders_unusual_images_and_other_files(faulty, tmp_path, monkeypatch):
    images = tmp_path / "images"
    unusual = {"moving.webp": animation("WEBP"), "broken.jpg": corrupt_jpeg()}
    others = dict.fromkeys(("b.gif", "a.GIF", "x.heic", "locked/c.jpg"), b"")
    path = faulty(on_bad_image="skip")
    write_folder(images, unusual | others)
    lock(monkeypatch, "locked")

    result = check_data(load(path))
    problem = f"{images}/locked: cannot be read: permission denied"
    assert result["images"] == 63
    assert result["unread_folders"] == [problem]
    jpeg, webp = result["unusual"]
    remark = "Corrupt JPEG data: 11 extraneous bytes before marker 0xd9"
    assert jpeg == {"name": f"{images}/broken.jpg", "remark": remark}
    remark = "animated; only the first of its 3 frames is read"
    assert webp == {"name": f"{images}/moving.webp", "remark": remark}
    assert result["other_files"] == {
        ".gif": {"count": 2, "example": "a.GIF"},
        ".heic": {"count": 1, "example": "x.heic"},
    }
    assert result["failures"] == []

    lines = list(summary_lines(result))
    first = lines.index("1 unread folders (left out):")
    assert lines[first : first + 8] == [
        "1 unread folders (left out):",
        f"  {problem}",
        "2 unusual images (training reads them):",
        f"  {images}/broken.jpg: Corrupt JPEG data: 11 extraneous bytes before marker 0xd9",
        f"  {images}/moving.webp: animated; only the first of its 3 frames is read",
        "other files (not read; images end in .jpg, .jpeg, .png, .webp, .bmp):",
        "  2 .gif, such as a.GIF",
        "  1 .heic, such as x.heic",
    ]
    strict = check_data(load(faulty()))
    assert strict["failures"][0] == f"{problem}; data.on_bad_image: skip leaves such folders out"


def test_training_tells_what_check_data_lists(faulty, tmp_path, capfd):
    images = tmp_path / "images"
    path = faulty(on_bad_image="skip")
    kinds = {f"a.{number}": b"" for number in range(12)}
    write_folder(images, {"broken.jpg": corrupt_jpeg(), "b.gif": b"", "c.gif": b""} | kinds)
    ten = "; ".join(f"1 .{number}, such as a.{number}" for number in (0, 1, 10, 11, *range(2, 7)))
    expected = [
        "13 bad images are left out; `python main.py check-data` lists them",
        f"1 images are unusual, such as {images}/broken.jpg: Corrupt JPEG data: 11 extraneous "
        "bytes before marker 0xd9; `python main.py check-data` lists them",
        f"not read as images: 2 .gif, such as b.gif; {ten}; 3 with other endings",
    ]
    assert prepare(load(path))[1] == expected
    assert "Corrupt" not in capfd.readouterr().err
    assert prepare(load(path))[1] == expected  # as the kept inventory has it


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


def test_features_that_cannot_be_had_count(config_file, tmp_path, command):
    missing = tmp_path / "nowhere.h5"
    path = config_file(**{"evaluate.features": f"inception_v3:{missing}"})
    code, output, _ = command("check-data", path, "--out", tmp_path / "results")
    problem = f"evaluate.features: no such file: {missing}"
    assert code == 1
    assert f"training would fail: {problem}\n" in output
    assert "training can begin" not in output
    written = json.loads((tmp_path / "results" / "tiny" / "check_data.json").read_text())
    assert written["failures"] == [problem]


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
