"""Event files for TensorBoard, and a disk that is full."""

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import plugin_data_pb2

from config import UserError
from tests.conftest import SMALLEST, eagerly, full_disk, read_events, run_in
from train.runs.tensorboard import TensorBoard

SCALE = np.array([0.0, 0.5, 0.5, 2.0], np.float32)


def test_a_rewritten_epoch_replaces_the_old_one(tmp_path):
    sheet = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    for epoch, row in ((1, {"fid": 3.0}), (2, {"fid": None, "loss": 2}), (2, {"loss": 1})):
        board = TensorBoard(tmp_path)  # a run that goes on
        board.write_pictures(epoch, {"samples": sheet // epoch}, SCALE)
        board.write_scalars(row | {"epoch": epoch, "intervals": {}})
    shown = read_events(tmp_path)
    assert {tag for tag, _ in shown} == {"samples", "scale", "fid", "loss"}
    assert (shown["fid", 1], shown["loss", 2]) == (3.0, 1.0)
    assert ("fid", 2) not in shown
    np.testing.assert_array_equal(shown["samples", 2], sheet // 2)
    left, right, counts = shown["scale", 2].T
    assert {bucket: counts[bucket] for bucket in counts.nonzero()[0]} == {0: 1, 7: 2, 29: 1}
    assert (left[0], right[-1]) == (0.0, 2.0)


def test_settings_are_hyperparameters(tmp_path):
    TensorBoard(tmp_path).write_settings(
        {"train.epochs": 3, "train.flip": True, "model.channels": [8, 4], "data.split": None}
    )
    (path,) = tmp_path.iterdir()
    events = [event_pb2.Event.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(path))]
    (value,) = [value for event in events for value in event.summary.value]
    data = plugin_data_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
    shown = data.session_start_info.hparams
    assert {name: value.WhichOneof("kind") for name, value in shown.items()} == {
        "train.epochs": "number_value", "train.flip": "bool_value",
        "model.channels": "string_value", "data.split": "string_value",
    }  # fmt: skip
    assert shown["train.epochs"].number_value == 3.0
    assert shown["model.channels"].string_value == "[8, 4]"


def test_it_shows_all_numbers_of_the_rows(tmp_path, make_config):
    with eagerly():
        folder = run_in(make_config(**SMALLEST), tmp_path / "run")
    rows, shown = folder.rows(), read_events(folder.tensorboard)
    assert ("_hparams_/session_start_info", 0) in shown
    assert {"discriminator_loss", "generator_loss", "r1_penalty"} <= rows[1].keys()
    norms = ("mapper_gradient_norm", "synthesis_gradient_norm", "discriminator_gradient_norm")
    assert all(rows[1][name] > 0 for name in (*norms, "recovered_variance"))
    assert rows[1]["loss_scale"] == 1.0
    for row in rows:
        numbers = {n: v for n, v in row.items() if isinstance(v, int | float) and n != "epoch"}
        scalars = {
            tag: float(value)
            for (tag, epoch), value in shown.items()
            if epoch == row["epoch"] and np.ndim(value) == 0
        }
        assert scalars == {name: float(np.float32(value)) for name, value in numbers.items()}


@pytest.mark.parametrize("write", ["write_pictures", "write_scalars"])
def test_a_full_disk_is_one_line(tmp_path, write):
    board = TensorBoard(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    what = {
        "write_pictures": (1, {"samples": noise}, SCALE),
        "write_scalars": ({"epoch": 1} | {f"metric_{number}": 1.0 for number in range(50)},),
    }
    with (
        full_disk(1000),
        pytest.raises(UserError, match=r"cannot be written: .*too large") as raised,
    ):
        getattr(board, write)(*what[write])
    assert "\n" not in str(raised.value)
