"""The loop around the training step: epochs, evaluation, checkpoints, metrics. See `train_run`."""

import contextlib
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from config import Config, UserError
from data.loading import shuffled_batches
from data.stored import Images
from train.clock import Clock
from train.monitor import Monitor, NotFiniteError
from train.runs.checkpoints import Checkpoints
from train.runs.progress import StepMeans
from train.runs.writer import RunWriter
from train.runtime.signals import DeferredSignal, Stopped, deferred
from train.step import Trainer

OnResume = Callable[[int, int, bool], None]
OnSteps = Callable[[int, int, dict[str, Any]], None]


class Evaluator(Protocol):
    """What measures a trainer after an epoch: `evaluate.evaluator.Evaluator`."""

    def protocol(self, epoch: int) -> dict[str, Any]: ...
    def measure(self, epoch: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]: ...
    def sheets(self) -> dict[str, np.ndarray]: ...
    def scale(self) -> np.ndarray: ...


def train_run(
    config: Config,
    trainer: Trainer,
    train_images: Images,
    evaluator: Evaluator,
    writer: RunWriter,
    seed: int,
    on_resume: OnResume,
    on_steps: OnSteps,
) -> None:
    """Train to the last epoch, from the newest checkpoint if there is one.

    All processes of a training call this; the chief alone writes. Each epoch ends with a
    checkpoint, then metrics and image sheets (every `evaluate.every` epochs and at the end), then
    its row of metrics.jsonl, which marks it as done. `on_resume(epoch, step, is_done)` is called
    before a run goes on that has taken `step` steps, with their last epoch and whether that is
    done; `on_steps(epoch, step, row)` up to twice a second with the steps done in this epoch and
    their latest statistics, and with the epoch's row.

    Raises UserError for data that cannot be read, a full disk or a loss that is not finite, and
    `train.runtime.signals.Stopped` after a checkpoint when the process is asked to end.
    """
    processes = trainer.processes
    checkpoints = Checkpoints(trainer, writer.folder, config.train.keep_checkpoints)
    step = checkpoints.restore() or 0
    progress = checkpoints.progress
    first = max(1, int(progress.epoch))
    is_done = processes.from_chief(writer.last_step(first)) == step
    if step:
        on_resume(first, step, is_done)
    for epoch in range(first + is_done, config.train.epochs + 1):
        if epoch > progress.epoch:
            progress.begin_epoch(epoch)
        trainer.set_epoch(epoch - 1)
        trained = _Epoch(config, trainer, train_images, checkpoints, writer, seed, on_steps, step)
        row = trained.train()
        before = processes.from_chief(writer.last_step(epoch))
        step = max(row["step"], before or 0)  # other images may make the repeated epoch shorter
        if before is not None:
            continue
        row |= _evaluate_epoch(config, evaluator, epoch, writer)
        row["protocol"] = evaluator.protocol(epoch)
        if writer.is_best(row):
            checkpoints.save_best(step)
        writer.write_row(row)
        on_steps(epoch, trained.steps, row)
    processes.from_chief(None)  # the others wait until the chief has measured the last epoch


class _Epoch:
    """Trains one epoch to its end, from the step in the checkpoint: step `total` of the run."""

    def __init__(
        self,
        config: Config,
        trainer: Trainer,
        train_images: Images,
        checkpoints: Checkpoints,
        writer: RunWriter,
        seed: int,
        on_steps: OnSteps,
        total: int,
    ) -> None:
        progress = checkpoints.progress
        self.number, self.done = int(progress.epoch), int(progress.step)
        self.steps_before = total - self.done  # earlier epochs may have had other images
        self.trainer, self.processes = trainer, trainer.processes
        self.checkpoints, self.writer, self.on_steps = checkpoints, writer, on_steps
        positions = trainer.positions()
        self.batches = shuffled_batches(
            config, train_images, seed, self.number, self.done, positions
        )
        self.steps = self.done + len(self.batches)
        self.clock = Clock(config.train.checkpoint_every, float(progress.seconds), self.done)
        self.means, self.recent_means = progress.means()
        self.log_every = config.train.log_every
        self.monitor = Monitor(trainer.scaled_statistics)

    def train(self) -> dict[str, Any]:
        """Take the steps that are left; returns the first entries of the epoch's row."""
        with deferred() as signalled, contextlib.closing(iter(self.batches)) as batches:
            step = self.done
            while step < self.steps:
                count = self.clock.steps_at_once(step, self.steps)
                batch = tf.stack([*itertools.islice(batches, count)])
                step += count
                self._finish_steps(step, self.trainer.train_steps(batch), signalled)
        signalled.raise_if_any()
        return self._row()

    def _finish_steps(
        self, step: int, statistics: dict[str, tf.Tensor], signalled: DeferredSignal
    ) -> None:
        """After step `step`: read statistics, show progress and save, each if due.

        Raises `Stopped`, after a checkpoint, if a process got a signal.
        """
        clock, is_end = self.clock, step == self.steps
        if is_time_to_look := self.monitor.add(self._total(step), statistics):
            self._look(step)
        if clock.is_progress_due():
            latest = {name: float(statistics[name][-1]) for name in self.means.names}
            self.on_steps(self.number, step, latest)
        is_known = is_time_to_look or is_end or clock.is_counted(step)
        if self.processes.count > 1 and not (clock.is_slow or is_known):
            return  # agreeing with the other processes takes as long as a small step
        stopped_by = self._signal_to_any(signalled)
        is_due = self.processes.from_chief(clock.is_checkpoint_due(step))
        if is_end or is_due or stopped_by:
            self._look(step)
            progress = self.checkpoints.progress
            progress.assign(self.number, step, clock.seconds(), self.means, self.recent_means)
            self.checkpoints.save(self._total(step))
        if stopped_by := stopped_by or (is_end and self._signal_to_any(signalled)):
            raise Stopped(stopped_by)

    def _total(self, step: int) -> int:
        """The number of a step counted from the first epoch's first."""
        return self.steps_before + step

    def _look(self, step: int) -> None:
        """Add the statistics since the last look to the means. Raises UserError at NaN."""
        try:
            rows = self.monitor.look()
        except NotFiniteError as error:
            where = self.writer.write_divergence(error)
            advice = "; try a smaller train.learning_rate" if where else ""
            raise UserError(f"training diverged: {error}{advice}{where}") from error
        self.means.add(rows)
        if self.log_every:
            self._log(rows, self._total(step), self.log_every)
        self.clock.note_look(step)
        self.clock.set_speed(*self.processes.from_chief([self.clock.is_fast, self.clock.is_slow]))

    def _log(self, rows: Sequence[dict[str, float]], last_step: int, every: int) -> None:
        """Write the means over each `every` steps; `rows` are of the steps up to `last_step`."""
        for step, row in enumerate(rows, start=last_step - len(rows) + 1):
            self.recent_means.add([row])
            if step % every == 0:
                means = self.recent_means.means() | {"learning_rate": self.trainer.learning_rate}
                self.writer.write_step_means(step, means)
                self.recent_means = StepMeans(self.recent_means.names)

    def _signal_to_any(self, signalled: DeferredSignal) -> int:
        """The signal that one of the processes got, or 0: the same answer in all of them."""
        return max(self.processes.gather(signalled.number or 0))

    def _row(self) -> dict[str, Any]:
        images = self.steps * self.trainer.images_per_step
        seconds = self.clock.seconds()
        step = self._total(self.steps)
        return (
            {"epoch": self.number, "step": step}
            | self.means.means()
            | {
                "learning_rate": self.trainer.learning_rate,
                "seconds_train": seconds,
                "images_seen": step * self.trainer.images_per_step,
                "images_per_second": images / seconds,
            }
        )


def _evaluate_epoch(
    config: Config, evaluator: Evaluator, epoch: int, writer: RunWriter
) -> dict[str, Any]:
    """The epoch's metrics, after saving its sheets; {} if the epoch is not evaluated."""
    if epoch % config.evaluate.every and epoch != config.train.epochs:
        return {}
    start = time.perf_counter()
    row, per_image = evaluator.measure(epoch)
    if not row:  # the chief alone gets the metrics
        return {}
    writer.write_pictures(epoch, evaluator.sheets(), evaluator.scale(), per_image)
    return row | {"seconds_evaluate": time.perf_counter() - start}
