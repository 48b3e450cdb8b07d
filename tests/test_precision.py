"""Precision, compilation and lazy R1: what stays float32, and where training ends."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from config import Config
from config.sections import TrainConfig
from models.latent import differential_entropy
from models.reference.weights import to_arrays
from tests.conftest import SMALLEST, TINY, eagerly, merge
from train.monitor import Monitor, NotFiniteError
from train.runtime import device
from train.runtime.device import resolve_auto
from train.step import Trainer

MIXED = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}
STEPS = 300


@pytest.fixture
def make_config(make_config):
    return lambda **changes: make_config(**SMALLEST | changes)


def images(steps=1):
    """Batches (steps, 4, 8, 8, 3) of eight different blobs, which a generator can learn."""
    rows = np.linspace(-1, 1, 8)
    distance = np.stack([rows[:, None] ** 2 + (rows - shift) ** 2 for shift in rows])
    blobs = np.repeat(np.cos(2 * distance)[..., None], 3, axis=-1).astype(np.float32)
    return blobs[np.random.default_rng(0).integers(0, 8, (steps, 4))]


def train(config, run="normal_dls_dg", steps=STEPS):
    """(trainer, statistics of its steps as arrays)."""
    trainer = Trainer(config, run)
    statistics = trainer.train_steps(images(steps))
    return trainer, {name: values.numpy() for name, values in statistics.items()}


@pytest.fixture(scope="module")
def trained():
    """A function: (trainer, statistics) after 300 steps in a precision."""

    @functools.cache
    def trained(precision):
        changes = SMALLEST | {"train.precision": precision}
        return train(Config.model_validate(merge(TINY, changes)))

    return trained


@pytest.mark.parametrize("precision", MIXED)
def test_only_feature_maps_are_narrow(make_config, precision):
    trainer = Trainer(make_config(**{"train.precision": precision}), "normal_dls_dg")
    mapper, synthesis, discriminator = trainer.networks
    narrow = [
        {layer.name for layer in network.layers if layer.compute_dtype == MIXED[precision]}
        for network in trainer.networks
    ]
    assert narrow[0] == set()
    assert narrow[1] == {"constant", "4_conv", "8_up", "8_conv"}
    assert narrow[2] == {
        *("from_rgb", "8_conv", "8_down", "8_skip", "8_add", "8_rescale", "4_conv")
    }
    assert synthesis.get_layer("8_conv").output.dtype == MIXED[precision]
    assert discriminator.get_layer("4_conv").output.dtype == MIXED[precision]
    assert {
        output.dtype for output in (mapper.output, synthesis.output, *discriminator.output)
    } == {"float32"}
    floats = [*trainer.optimizer.variables, trainer.variance_window]
    floats += [weight for network in trainer.networks for weight in network.weights]
    assert {tf.as_dtype(v.dtype) for v in floats} - {tf.int32, tf.int64} == {tf.float32}


@pytest.mark.long
@pytest.mark.parametrize("precision", MIXED)
def test_hundreds_of_steps_end_where_float32_does(trained, precision):
    float32, mixed = trained("float32"), trained(precision)
    losses = [statistics["encoder_loss"] for _, statistics in (float32, mixed)]
    assert not np.array_equal(*losses)
    for values in losses:
        assert np.all(np.isfinite(values))
        assert values[-100:].mean() < 0.8 * values[:100].mean()
    assert losses[1][-100:].mean() == pytest.approx(losses[0][-100:].mean(), rel=0.15)
    entropies = [differential_entropy(trainer.scale(), "normal") for trainer, _ in (float32, mixed)]
    assert float(entropies[1]) == pytest.approx(float(entropies[0]), rel=0.05)


@pytest.mark.long
def test_losses_are_scaled_in_float16_only(trained):
    for precision in ("float32", *MIXED):
        _, statistics = trained(precision)
        if precision == "mixed_float16":
            assert np.all(statistics["loss_scale"] > 1.0)
        else:
            assert np.all(statistics["loss_scale"] == 1.0)


def test_a_step_that_overflows_is_skipped(make_config, trained):
    """A step without overflow is as in float32: the norms are those of unscaled gradients."""
    trainer = Trainer(make_config(**{"train.precision": "mixed_float16"}), "normal_dls_dg")
    trainer.optimizer.dynamic_scale.assign(4.0)
    statistics = trainer.train_steps(images())
    assert int(trainer.optimizer.iterations) == 1
    for name, values in trained("float32")[1].items():
        if name != "loss_scale":
            assert statistics[name].numpy() == pytest.approx(values[:1], rel=0.02)
    trainer.optimizer.dynamic_scale.assign(2.0**120)
    before, window = to_arrays(trainer.networks), trainer.variance_window.numpy()
    statistics = trainer.train_steps(images())
    after = to_arrays(trainer.networks)
    assert [name for name in before if not np.array_equal(before[name], after[name])] == []
    np.testing.assert_array_equal(trainer.variance_window, window)
    assert float(trainer.optimizer.dynamic_scale) == 2.0**119
    assert int(trainer.optimizer.iterations) == 1
    assert not np.isfinite(statistics["discriminator_gradient_norm"])
    monitor = Monitor(trainer.scaled_statistics)
    monitor.add(1, statistics)
    (row,) = monitor.look()
    assert row["loss_scale"] == 2.0**120


@pytest.mark.parametrize(
    ("name", "loss_scale"),
    [
        ("synthesis_gradient_norm", 1.0),
        ("encoder_loss", 1024.0),
        ("generator_loss", 1024.0),
        ("recovered_variance", 1024.0),
    ],
)
def test_infinity_that_no_loss_scale_explains_stops_the_training(trained, name, loss_scale):
    trainer, statistics = trained("float32")
    finite = {key: tf.constant(values[:1]) for key, values in statistics.items()}
    overflow = {key: tf.constant([np.inf]) for key in trainer.scaled_statistics}
    monitor = Monitor(trainer.scaled_statistics)
    monitor.add(6, finite | overflow | {"loss_scale": tf.fill(1, 1024.0)})
    monitor.look()
    monitor.add(7, finite | {"loss_scale": tf.fill(1, loss_scale), name: tf.constant([np.inf])})
    with pytest.raises(NotFiniteError, match=f"{name} is inf at step 7"):
        monitor.look()


def test_lazy_r1_counts_in_every_kth_step_k_times(make_config, tmp_path):
    lazy, statistics = train(make_config(**{"train.r1_interval": 3}), steps=2)
    assert statistics["r1_penalty"][0] > 0
    assert statistics["r1_penalty"][1] == 0
    thrice = Trainer(make_config(**{"train.r1_weight": 3.0}), "normal_dls_dg")
    with eagerly():
        thrice.train_step(images(2)[0])
    path = tf.train.Checkpoint(**thrice.state()).write(str(tmp_path / "after_one_step"))
    none = Trainer(make_config(**{"train.r1_weight": 0.0}), "normal_dls_dg")
    tf.train.Checkpoint(**none.state()).read(path)
    with eagerly():
        none.train_step(images(2)[1])
    expected = to_arrays(none.networks)
    for name, array in to_arrays(lazy.networks).items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
    more = lazy.train_steps(images(7)[2:])["r1_penalty"]
    assert np.flatnonzero(more).tolist() == [1, 4]  # steps 3 and 6, counted from 0


def test_xla_changes_no_result(make_config):
    trainer = Trainer(make_config(**{"train.jit_compile": True}), "normal_dls_dg")
    compiled = trainer.train_step(images()[0])
    with eagerly():
        plain = Trainer(make_config(), "normal_dls_dg").train_step(images()[0])
    for name, value in plain.items():
        assert float(compiled[name]) == pytest.approx(float(value), rel=1e-3), name


class FakeTensorFlow:
    """A TensorFlow with one device of a kind, or none."""

    def __init__(self, kind=None, **details):
        self.config = self
        self.experimental = self
        self.kind, self.details = kind, details

    def list_physical_devices(self, kind):
        return ["a device"] if kind == self.kind else []

    def get_device_details(self, _):
        return self.details


@pytest.mark.parametrize(
    ("tensorflow", "precision"),
    [
        (FakeTensorFlow("TPU"), "mixed_bfloat16"),
        (FakeTensorFlow("GPU", compute_capability=(9, 0)), "mixed_bfloat16"),
        (FakeTensorFlow("GPU", compute_capability=(7, 5)), "mixed_float16"),
        (FakeTensorFlow("GPU", compute_capability=(6, 1)), "float32"),
        (FakeTensorFlow("GPU"), "float32"),
    ],
)
def test_precision_is_what_the_accelerator_is_made_for(monkeypatch, tensorflow, precision):
    monkeypatch.setattr(device, "tf", tensorflow)
    resolved = resolve_auto(TrainConfig())
    assert (resolved.precision, resolved.jit_compile) == (precision, True)
    for chosen in ("float32", "mixed_float16"):
        resolved = resolve_auto(TrainConfig(precision=chosen, jit_compile=False))
        assert (resolved.precision, resolved.jit_compile) == (chosen, False)


def test_auto_is_float32_on_processors(monkeypatch):
    """Also on those with bfloat16: it changes the results, and is asked for by name."""
    monkeypatch.setattr(device, "tf", FakeTensorFlow())
    resolved = resolve_auto(TrainConfig())
    assert (resolved.precision, resolved.jit_compile) == ("float32", False)
    assert resolve_auto(TrainConfig(precision="mixed_bfloat16")).precision == "mixed_bfloat16"


def test_a_run_keeps_the_precision_that_it_began_with(monkeypatch):
    monkeypatch.setattr(device, "tf", FakeTensorFlow("GPU", compute_capability=(9, 0)))
    assert resolve_auto(TrainConfig()).precision == "mixed_bfloat16"
    resolved = resolve_auto(TrainConfig(), {"precision": "float32", "jit_compile": False})
    assert (resolved.precision, resolved.jit_compile) == ("float32", False)
