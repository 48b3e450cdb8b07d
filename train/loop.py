"""The loop around the training step: epochs, evaluation, checkpoints, metrics. See `train_run`."""

import math
import time

import numpy as np
import tensorflow as tf

from config import UserError
from data import shuffled_batches
from evaluate.sheets import save_sheet
from train.checkpoints import Checkpoints

REPORT_SECONDS = 0.25


def train_run(config, trainer, train_images, evaluator, folder, seed, report):
    """Train to the last epoch, from the newest checkpoint if there is one.

    After each epoch: metrics and image sheets (every `evaluate.every` epochs and at the end), one
    row of metrics.jsonl, TensorBoard scalars, a checkpoint. `report(epoch, step, row)` is called a
    few times a second with the steps done in this epoch, and with the epoch's row at its end.
    """
    checkpoints = Checkpoints(trainer, folder)
    done = checkpoints.restore()
    writer = tf.summary.create_file_writer(str(folder.tensorboard))
    for epoch in range(done + 1, config.train.epochs + 1):
        trainer.set_epoch(epoch - 1)
        batches = shuffled_batches(config, train_images, seed, epoch)
        row = _train_epoch(trainer, batches, epoch, report)
        row |= _evaluate_epoch(config, evaluator, epoch, folder)
        row["protocol"] = evaluator.protocol(epoch)
        folder.append(row)
        _write_scalars(writer, row)
        checkpoints.save(epoch)
        report(epoch, len(batches), row)


def _train_epoch(trainer, batches, epoch, report):
    """One pass over the training images; the first entries of the epoch's row."""
    start = reported = time.perf_counter()
    encoder_losses = []
    for step, real_images in enumerate(batches, start=1):
        encoder_losses.append(trainer.train_step(real_images)["encoder_loss"])
        if time.perf_counter() - reported > REPORT_SECONDS:
            reported = time.perf_counter()
            report(epoch, step, {"encoder_loss": float(encoder_losses[-1])})
    encoder_loss = float(tf.reduce_mean(encoder_losses))
    _require_finite(epoch, "L_enc", encoder_loss)
    seconds = time.perf_counter() - start
    steps, images = len(batches), len(batches) * batches.batch_size
    return {
        "epoch": epoch,
        "step": epoch * steps,
        "images_seen": epoch * images,
        "encoder_loss": encoder_loss,
        "learning_rate": trainer.learning_rate,
        "images_per_second": images / seconds,
        "seconds_train": seconds,
    }


def _evaluate_epoch(config, evaluator, epoch, folder):
    """The metrics of the epoch's row, after drawing its sheets; nothing in epochs left out."""
    if epoch % config.evaluate.every and epoch != config.train.epochs:
        return {}
    start = time.perf_counter()
    row, per_image = evaluator.measure(epoch)
    _require_finite(epoch, "L_enc of fresh latents", row["fresh_encoder_loss"])
    for name, sheet in evaluator.sheets().items():
        save_sheet(folder.images(epoch) / f"{name}.png", sheet)
    np.savez(folder.images(epoch) / "per_image.npz", **per_image)
    return row | {"seconds_evaluate": time.perf_counter() - start}


def _require_finite(epoch, name, value):
    if not math.isfinite(value):
        raise UserError(
            f"training diverged in epoch {epoch}: {name} is {value}; try a smaller "
            "train.learning_rate. The checkpoint of the epoch before is kept"
        )


def _write_scalars(writer, row):
    with writer.as_default(step=row["epoch"]):
        for name, value in row.items():
            if isinstance(value, (int, float)) and name != "epoch":
                tf.summary.scalar(name, value)
    writer.flush()
