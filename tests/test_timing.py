"""How long a training step takes, with penalties that only some steps have."""

from types import SimpleNamespace

import pytest
import tensorflow as tf

from train import timing
from train.choices import Turn
from train.growth import NoGrowth


@pytest.mark.parametrize(
    ("interval", "updates", "expected"),
    [
        (1, 1, (9.0, None, 9.0)),
        (4, 1, (9.0, 1.0, 1.0 + 8.0 / 4)),
        (4, 5, (9.0, 1.0, 1.0 + 8.0 / 4)),  # one step in four has two turns, the others one
        (4, 2, (9.0, 1.0, 1.0 + 8.0 / 2)),
        (2, 4, (9.0, None, 9.0)),  # each step has two
    ],
)
def test_the_mean_counts_lazy_penalties_by_their_share(monkeypatch, interval, updates, expected):
    iterations = tf.Variable(0)
    optimizer = SimpleNamespace(iterations=iterations)
    trainer = SimpleNamespace(
        descent=SimpleNamespace(parts=lambda: {"optimizer": optimizer}),
        growth=NoGrowth(),
        images_per_step=1,
        networks=SimpleNamespace(image_shape=(1, 1, 3)),
        optimizer=optimizer,
        penaliser=SimpleNamespace(turns={"r1": Turn(10.0, interval)}),
        train_config=SimpleNamespace(discriminator_steps=updates),
        train_steps=lambda batches: {"loss": tf.zeros(len(batches))},
    )
    seconds = {0: 9.0, 1: 1.0}  # by the number of the iteration with which a step begins
    monkeypatch.setattr(timing, "median_seconds", lambda call, calls: seconds[int(iterations)])
    assert timing.time_step(trainer) == expected
