"""The authors' files are read and written; the recorded ones have their names and layouts."""

import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from evaluate.trained_run import TrainedRun
from models import build_networks
from models.reference.files import read_h5
from models.reference.weights import load_h5, to_arrays
from tests.conftest import assert_user_error, eagerly
from tests.test_golden import (
    RECORDED,
    assert_same_weights,
    configure,
    real_images,
    relative_error,
    with_prefix,
)
from train.runs.checkpoints import Checkpoints
from train.runs.folder import RunFolder
from train.step import Trainer

H5 = RECORDED / "h5"
NETWORK_FILES = [H5 / f"{name}.h5" for name in ("mapper", "decoder", "discriminator")]
WINDOW = H5 / "var_vectors.npy"
CLEAR_PEAK = Path("/proc/self/clear_refs")


@pytest.fixture(scope="module")
def recorded():
    return dict(np.load(RECORDED / "normal_dls_dg.npz"))


@pytest.fixture(scope="module")
def config(recorded):
    return configure(json.loads(str(recorded["config"])))


@pytest.fixture
def import_files(command, config, tmp_path):
    """A function: import these files; returns the command's result and the run folder."""

    def run(*files, **changes):
        path = tmp_path / "golden.yaml"
        path.write_text(yaml.safe_dump(config.model_dump()))
        sets = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
        out = tmp_path / "imported"
        arguments = ("import-reference", *files, "--config", path, "--out", out, *sets)
        return *command(*arguments), out

    return run


def test_every_weight_is_found_by_its_name(recorded, config):
    networks = build_networks(config)
    load_h5(networks, *NETWORK_FILES)
    weights, arrays = with_prefix(recorded, "weights/"), to_arrays(networks)
    assert set(arrays) == set(weights)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, weights[name], err_msg=name)


def test_an_imported_run_computes_what_the_authors_code_does(recorded, import_files):
    code, output, _, path = import_files(*NETWORK_FILES, WINDOW)
    assert code == 0
    assert f"is in {path}" in output
    trained = TrainedRun(path)
    assert relative_error(trained.scale, recorded["scale"]) < 1e-4
    images = trained.networks.generate(recorded["latents"][0], trained.scale)
    assert relative_error(images, recorded["fake_images"]) < 1e-4
    real_latents = trained.encode(real_images(recorded, 0))
    assert relative_error(real_latents, recorded["real_latents"]) < 1e-4


def test_an_imported_run_trains_on_as_the_authors_code_does(recorded, config, import_files):
    *_, path = import_files(*NETWORK_FILES, WINDOW)
    trainer = Trainer(config, "normal_dls_dg")
    assert Checkpoints(trainer, RunFolder(path)).restore() == 0
    with eagerly():
        statistics = trainer.train_step(real_images(recorded, 0), recorded["latents"][0])
    assert float(statistics["encoder_loss"]) == pytest.approx(recorded["encoder_losses"][0], 1e-3)
    assert_same_weights(to_arrays(trainer.networks), with_prefix(recorded, "after_1/"))


def test_import_and_export_give_the_same_files(import_files, command, tmp_path):
    *_, path = import_files(*NETWORK_FILES, WINDOW)
    assert command("export-reference", path, "--out", tmp_path / "exported")[0] == 0
    for file in NETWORK_FILES:
        with h5py.File(file) as before, h5py.File(tmp_path / "exported" / file.name) as after:
            assert contents(before) == contents(after)
    before, after = (np.load(folder / "var_vectors.npy") for folder in (H5, tmp_path / "exported"))
    np.testing.assert_array_equal(before, after)


def contents(group):
    """All names in an HDF5 file, with the arrays and the attributes."""
    found = {}
    group.visititems(
        lambda name, item: found.update(
            {
                name: array(item) if isinstance(item, h5py.Dataset) else None,
                f"{name} weights": list(item.attrs.get("weight_names", [])),
            }
        )
    )
    return found | {key: list(value) for key, value in group.attrs.items()}


def array(item):
    return item.shape, item.dtype.str, item[()].tobytes()


def test_other_numbers_in_the_names_are_accepted(recorded, config, tmp_path):
    """Keras counts the layers of a process, not those of a network."""
    path = tmp_path / "mapper.h5"
    shutil.copy(NETWORK_FILES[0], path)
    with h5py.File(path, "r+") as file:
        group = file["mapper"]
        names = [name.replace("eq_dense", "eq_dense_9") for name in group.attrs["weight_names"]]
        for before, after in zip(group.attrs["weight_names"], names, strict=True):
            group[after] = group[before][()]
        group.attrs["weight_names"] = names
    networks = build_networks(config)
    load_h5(networks, path, *NETWORK_FILES[1:])
    np.testing.assert_array_equal(to_arrays(networks)["mapper.7.w"], recorded["weights/mapper.7.w"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model.style_units": 17},
            "mapper.h5: eq_dense/eq_dense_w:0 has shape (12, 16), where mapper.0.w has (12, 17)",
        ),
        (
            {"model.synthesis_channels": [16, 12, 8]},
            "decoder.h5: mod_eq_conv2d_3/mod_eq_conv2d_3_w:0 has shape (3, 3, 16, 16), where "
            "synthesis.16.up.w has (3, 3, 12, 16)",
        ),
        ({"model.mapper_layers": 7}, "mapper.h5: 16 weights, where the mapper has 14"),
        ({"latent.variance_window": 9}, "var_vectors.npy: float32 of shape (8, 12), but the"),
    ],
)
def test_files_of_another_architecture(import_files, changes, message):
    code, _, errors, path = import_files(*NETWORK_FILES, WINDOW, **changes)
    assert_user_error(code, errors, message)
    assert not path.exists()


def test_files_that_are_something_else(import_files, tmp_path):
    text, broken, negative, zero = (
        tmp_path / name for name in ("text.h5", "broken.h5", "negative.npy", "zero.npy")
    )
    text.write_text("no weights")
    shutil.copy(NETWORK_FILES[0], broken)
    with h5py.File(broken, "r+") as file:
        file["mapper/eq_dense/eq_dense_w:0"][3, 3] = np.nan
    np.save(negative, -np.ones((8, 12), np.float32))
    np.save(zero, np.eye(12, dtype=np.float32)[:8])  # four elements are never recovered
    _, decoder, discriminator = NETWORK_FILES
    for files, message in {
        (Path("nowhere.h5"), decoder, discriminator, WINDOW): "no such file: nowhere.h5",
        (text, decoder, discriminator, WINDOW): "text.h5: not a weight file of Keras 2",
        (*NETWORK_FILES, text): "text.h5: no .npy file that can be read",
        (broken, decoder, discriminator, WINDOW): "broken.h5: eq_dense/eq_dense_w:0 has values th",
        (*NETWORK_FILES, negative): "negative.npy: a variance is negative, zero or not finite",
        (*NETWORK_FILES, zero): "zero.npy: a variance is negative, zero or not finite",
    }.items():
        code, _, errors, path = import_files(*files)
        assert_user_error(code, errors, message)
        assert not path.exists()


def test_an_import_overwrites_nothing(import_files, tmp_path):
    (tmp_path / "imported").mkdir()
    (tmp_path / "imported" / "mine.txt").write_text("mine")
    code, _, errors, path = import_files(*NETWORK_FILES, WINDOW)
    assert_user_error(code, errors, "imported is there already; choose another --out")
    assert [file.name for file in path.iterdir()] == ["mine.txt"]


def replace_first_weight(group, name, kind):
    """Put something else in the place of a weight, whose values are not the file's own."""
    shape = group[name].shape
    del group[name]
    if kind == "external storage":
        size = 4 * int(np.prod(shape))
        group.create_dataset(name, shape, np.float32, external=[("/etc/passwd", 0, size)])
    elif kind == "external link":
        group[name] = h5py.ExternalLink(NETWORK_FILES[0], f"/mapper/{name}")
    elif kind == "soft link":
        group[name] = h5py.SoftLink("/mapper/eq_dense_1/eq_dense_1_w:0")
    elif kind == "virtual":
        layout = h5py.VirtualLayout(shape, np.float32)
        layout[:] = h5py.VirtualSource(NETWORK_FILES[0], f"/mapper/{name}", shape)
        group.create_virtual_dataset(name, layout)
    elif kind == "integers":
        group.create_dataset(name, shape, np.int32)
    elif kind == "enormous":
        group.create_dataset(name, (10**6, 10**6), np.float32, chunks=(1000, 1000))
    elif kind == "never written":
        group.create_dataset(name, (46_000, 46_000), np.float32)
    elif kind == "large chunk":
        options = {"maxshape": (None, None), "chunks": (6000, 6000), "compression": 1}
        group.create_dataset(name, shape, np.float32, **options)[0, 0] = 1.0
    elif kind == "group":
        group.create_group(name)


HOSTILE = [
    ("external storage", "eq_dense_w:0 has its values in another file"),
    ("external link", "eq_dense_w:0' is missing, or a link"),
    ("soft link", "eq_dense_w:0' is missing, or a link"),
    ("virtual", "eq_dense_w:0 has its values in another file"),
    ("integers", "eq_dense_w:0 has values of type int32, not of floats"),
    ("enormous", "eq_dense_w:0 has shape (1000000, 1000000), where mapper.0.w has (12, 16)"),
    ("never written", "eq_dense_w:0 has shape (46000, 46000), where mapper.0.w has (12, 16)"),
    ("large chunk", "eq_dense_w:0 is stored in chunks, not in one piece"),
    ("group", "eq_dense_w:0 is no array"),
]


def write_hostile(path, kind):
    shutil.copy(NETWORK_FILES[0], path)
    with h5py.File(path, "r+") as file:
        replace_first_weight(file["mapper"], "eq_dense/eq_dense_w:0", kind)
    return path


@pytest.mark.parametrize(("kind", "message"), HOSTILE)
def test_weights_that_lie_elsewhere_are_refused(import_files, tmp_path, kind, message):
    path = write_hostile(tmp_path / "mapper.h5", kind)
    code, _, errors, made = import_files(path, *NETWORK_FILES[1:], WINDOW)
    assert_user_error(code, errors, message)
    assert not made.exists()


def peak_megabytes():
    """The most memory of this process since the last `CLEAR_PEAK.write_text("5")`."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


@pytest.mark.skipif(not CLEAR_PEAK.exists(), reason="only Linux forgets a peak of memory")
def test_hostile_files_take_no_memory(config, tmp_path):
    shapes = {name: array.shape for name, array in to_arrays(build_networks(config)).items()}
    paths = [write_hostile(tmp_path / f"{kind}.h5", kind) for kind, _ in HOSTILE]
    CLEAR_PEAK.write_text("5")
    before = peak_megabytes()
    for path in paths:
        with pytest.raises(ValueError, match="eq_dense_w:0"):
            read_h5(path, "mapper", shapes)
        assert peak_megabytes() - before < 100, path
