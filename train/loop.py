"""The loop around the training step: epochs, evaluation, checkpoints, metrics. See `train_run`."""

import contextlib
import itertools
import math
import time

import numpy as np
import tensorflow as tf

from config import UserError
from data import shuffled_batches
from evaluate.sheets import save_sheet
from train.checkpoints import Checkpoints
from train.monitor import STEPS_PER_LOOK, Monitor, NotFiniteError
from train.signals import Stopped, deferred
from train.tensorboard import TensorBoard

REPORT_SECONDS = 0.5  # and the longest that a call of several steps takes
_SLOW_STEP_SECONDS = 1.0
_SECONDS_A_MINUTE = 60


def train_run(config, trainer, train_images, evaluator, folder, seed, report):
    """Train to the last epoch, from the newest checkpoint if there is one.

    Of several processes (`trainer.workers`) each does this, and the chief alone writes to `folder`.

    After each epoch: a checkpoint, metrics and image sheets (every `evaluate.every` epochs and at
    the end), the same for TensorBoard, one row of metrics.jsonl. An epoch is done when it has its
    row. `report(epoch, step, row)` is called up to twice a second with the steps done in this
    epoch, and with the epoch's row at its end.

    Raises UserError for data that cannot be read, a full disk or a loss that is not finite, and
    `train.signals.Stopped` after a checkpoint when the process is asked to end.
    """
    workers = trainer.workers
    checkpoints = Checkpoints(trainer, folder, config.train.keep_checkpoints)
    try:
        checkpoints.restore()
    except UserError as error:
        raise UserError(f"{error}; --fresh starts over, after moving the run aside") from error
    progress = checkpoints.progress
    board = TensorBoard(folder.tensorboard) if workers.is_chief else None
    for epoch in range(max(1, int(progress.epoch)), config.train.epochs + 1):
        if epoch > progress.epoch:
            progress.assign(epoch, 0)
        trainer.set_epoch(epoch - 1)
        row = _train_epoch(config, trainer, train_images, checkpoints, seed, report)
        if workers.from_chief(workers.is_chief and folder.has_row(epoch)):
            continue
        row |= _evaluate_epoch(config, evaluator, epoch, folder, board)
        if workers.is_chief:
            row["protocol"] = evaluator.protocol(epoch)
            if folder.is_best(row):
                checkpoints.save_best(row["step"])
            board.write_scalars(row)
            folder.append(row)
        report(epoch, row["step"] // epoch, row)
    workers.from_chief(None)  # the others end when it has measured the last epoch


def _train_epoch(config, trainer, train_images, checkpoints, seed, report):
    """What is left of the epoch; returns the first entries of its row.

    The sum of L_enc and the seconds of steps that are in a checkpoint come from there.
    """
    progress = checkpoints.progress
    epoch, done = int(progress.epoch), int(progress.step)
    workers = trainer.workers
    positions = workers.positions(config.train.batch_size)
    batches = shuffled_batches(config, train_images, seed, epoch, done, positions)
    steps = done + len(batches)
    clock = _Clock(config.train.checkpoint_every, float(progress.seconds), done)
    losses, monitor = float(progress.encoder_loss), Monitor()

    def look(step):
        """The sum of L_enc so far, in the order of the steps."""
        rows = _look(monitor, checkpoints.folder, workers.is_chief)
        clock.note_look(step)
        clock.is_fast, clock.is_slow = workers.from_chief([clock.is_fast, clock.is_slow])
        return sum((row["encoder_loss"] for row in rows), losses)

    def signal():
        """The signal that one of the processes got, or 0: the same in all of them."""
        return max(workers.gather(noted.signal or 0))

    with deferred() as noted, contextlib.closing(iter(batches)) as remaining:
        step = done
        while step < steps:
            count = clock.steps_at_once(step, steps)
            statistics = trainer.train_steps(tf.stack([*itertools.islice(remaining, count)]))
            step += count
            if is_time_to_look := monitor.add((epoch - 1) * steps + step, statistics):
                losses = look(step)
            if clock.is_report_due():
                report(epoch, step, {"encoder_loss": float(statistics["encoder_loss"][-1])})
            is_end = step == steps
            is_told = is_time_to_look or is_end or clock.is_counted(step)
            if workers.count > 1 and not (clock.is_slow or is_told):
                continue  # to agree on what follows takes as long as a small step
            stopped_by = signal()
            is_due = workers.from_chief(clock.is_checkpoint_due(step))
            if is_end or is_due or stopped_by:
                losses = look(step)
                progress.assign(epoch, step, losses, clock.seconds())
                checkpoints.save((epoch - 1) * steps + step)
            if stopped_by := stopped_by or (is_end and signal()):
                raise Stopped(stopped_by)
    noted.raise_if_any()
    row = {"epoch": epoch, "step": epoch * steps, "encoder_loss": losses / steps}
    row |= {"learning_rate": trainer.learning_rate, "seconds_train": clock.seconds()}
    images = steps * config.train.batch_size
    return row | {"images_seen": epoch * images, "images_per_second": images / clock.seconds()}


class _Clock:
    """When to report, when to save, how many steps to take in one call.

    `checkpoint_every` is such as "10 minutes" or "500 steps".
    """

    def __init__(self, checkpoint_every, seconds_before, steps_before):
        self.start = self.reported = self.saved = self.looked = time.perf_counter()
        self.before = seconds_before
        self.step_looked = steps_before
        self.is_fast, self.is_slow = False, True
        count, self.unit = checkpoint_every.split()
        self.every = int(count)

    def note_look(self, step):
        """All steps up to this one are done, also on a GPU."""
        now = time.perf_counter()
        if step > self.step_looked:
            seconds_per_step = (now - self.looked) / (step - self.step_looked)
            self.is_fast = seconds_per_step * STEPS_PER_LOOK < REPORT_SECONDS
            self.is_slow = seconds_per_step > _SLOW_STEP_SECONDS
        self.looked, self.step_looked = now, step

    def steps_at_once(self, step, steps):
        """All until the next look if that is soon, else 1; not past a checkpoint or the end."""
        until = steps - step
        if self.unit == "steps":
            until = min(until, self.every - step % self.every)
        return STEPS_PER_LOOK if self.is_fast and until >= STEPS_PER_LOOK else 1

    def seconds(self):
        return self.before + time.perf_counter() - self.start

    def is_report_due(self):
        now = time.perf_counter()
        if now - self.reported < REPORT_SECONDS:
            return False
        self.reported = now
        return True

    def is_counted(self, step):
        """Whether it is a step to save after, where these are counted."""
        return self.unit == "steps" and step % self.every == 0

    def is_checkpoint_due(self, step):
        if self.unit == "steps":
            return self.is_counted(step)
        now = time.perf_counter()
        if now - self.saved < self.every * _SECONDS_A_MINUTE:
            return False
        self.saved = now
        return True


def _look(monitor, folder, is_chief):
    try:
        return monitor.look()
    except NotFiniteError as error:
        if not is_chief:
            raise UserError(f"training diverged: {error}") from error
        path = folder.write_divergence(error)
        raise UserError(
            f"training diverged: {error}; try a smaller train.learning_rate. The last steps are in "
            f"{path}, the last good checkpoint is of step {max(folder.saved_steps(), default=0)}"
        ) from error


def _evaluate_epoch(config, evaluator, epoch, folder, board):
    """The metrics of the epoch's row, after saving its sheets and s; nothing in epochs left out."""
    if epoch % config.evaluate.every and epoch != config.train.epochs:
        return {}
    start = time.perf_counter()
    row, per_image = evaluator.measure(epoch)
    if not evaluator.workers.is_chief:
        return {}
    if not math.isfinite(row["fresh_encoder_loss"]):
        raise UserError(
            f"training diverged in epoch {epoch}: L_enc of fresh latents is "
            f"{row['fresh_encoder_loss']}; try a smaller train.learning_rate"
        )
    sheets, scale = evaluator.sheets(), evaluator.scale()
    for name, sheet in sheets.items():
        save_sheet(folder.images(epoch) / f"{name}.png", sheet)
    np.savez(folder.images(epoch) / "per_image.npz", **per_image)
    np.save(folder.images(epoch) / "scale.npy", scale)
    board.write_pictures(epoch, sheets, scale)
    return row | {"seconds_evaluate": time.perf_counter() - start}
