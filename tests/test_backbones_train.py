"""Each backbone learns from the digits: losses stay finite, and L_enc falls with dynamic scale."""

import numpy as np
import pytest

from config import Config
from config.backbones import BACKBONES
from data.loading import open_images
from tests.conftest import TINY
from train.step import Trainer

BATCH, STEPS, STEPS_A_CALL = 8, 300, 50
CHANNELS = {"channel_base": 64, "channel_max": 16}
STYLES = {"style_units": 16, "mapping_layers": 2}
GROWTH = {"stage_kimg": 0.4, "fade_kimg": 0.4}  # the full size after two thirds of the images
DLSGAN = {**TINY["model"], "base_channels": 16}
SMALL = {
    "dlsgan": DLSGAN,
    "dlsgan_later": DLSGAN,
    "dcgan": {"kernel_size": 4, "generator_channels": 8, "discriminator_channels": 8},
    "progressive_gan": CHANNELS | GROWTH,
    "stylegan": CHANNELS | STYLES | GROWTH,
    "stylegan2": CHANNELS | STYLES,
    "stylegan3_t": CHANNELS | STYLES,
    "stylegan3_r": {"channel_base": 32, "channel_max": 8} | STYLES,
}

# As in the authors' code: it has layers for 4x4 images, and begins with 8x8.
UNUSED = {"stylegan": {"4_to_rgb/kernel", "4_to_rgb/bias", "4_from_rgb/kernel", "4_from_rgb/bias"}}


@pytest.mark.long
@pytest.mark.parametrize("name", BACKBONES)
def test_300_steps(name):
    values = TINY | {
        "data": {"source": "digits", "resolution": 16},
        "latent": {"dim": 8, "variance_window": 32},
        "model": SMALL[name] | {"backbone": name},
        "train": {"batch_size": BATCH, "learning_rate": 0.003, "r1_weight": 1.0},
    }
    config = Config.model_validate(values)
    trainer = Trainer(config, "normal_dls_dg")
    variables = [v for group in trainer.parameter_groups for v in group.variables]
    before = [variable.numpy() for variable in variables]
    images = open_images(config.data, "train")
    random = np.random.default_rng(0)
    rows = []
    for _ in range(STEPS // STEPS_A_CALL):
        chosen = random.integers(len(images), size=STEPS_A_CALL * BATCH)
        batches = images.read(chosen).reshape(STEPS_A_CALL, BATCH, 16, 16, 3)
        rows.append({name: value.numpy() for name, value in trainer.train_steps(batches).items()})
    assert all(np.all(np.isfinite(value)) for row in rows for value in row.values())
    unmoved = {v.path for v, b in zip(variables, before, strict=True) if np.all(v.numpy() == b)}
    assert unmoved == UNUSED.get(name, set())  # gradients reach every other variable
    losses = [row["encoder_loss"].mean() for row in rows]
    assert losses[-1] < 0.95 * max(losses)
    assert np.ptp(trainer.scale()) > 0.1
