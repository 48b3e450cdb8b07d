"""The state of a run on disk. See `Checkpoints` and `restore_newest`."""

import shutil
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from config import UserError, first_line
from data.storage import write_whole
from train.runs.folder import CHECKPOINT_NAME, RunFolder
from train.runs.progress import Progress
from train.step import Trainer


def restore_newest(
    checkpoint: tf.train.Checkpoint,
    folder: RunFolder,
    steps: Collection[int] | None = None,
    is_whole: bool = True,
) -> int | None:
    """Bring a checkpoint's objects to the newest state in a run's folder that can be read.

    Returns its step, None if there is none. A checkpoint that cannot be read is left out with a
    warning. With `steps` only checkpoints of these steps count, the best one included. The file
    must hold everything in `checkpoint`; with `is_whole`, `checkpoint` must contain everything in
    the file. Raises UserError if all are damaged, if they are gone while metrics are there, and if
    the config was edited and no longer fits.
    """
    tried: set[tuple[int, Path]] = set()
    holds_other_objects = False
    while untried := _saved(folder, steps) - tried:  # a run that is training replaces them
        for step, path in sorted(untried, reverse=True):
            try:
                status = checkpoint.restore(str(path))
                if is_whole:
                    status.assert_consumed()
                else:
                    status.assert_existing_objects_matched().expect_partial()
                return step
            except (MemoryError, tf.errors.ResourceExhaustedError):
                raise
            except Exception as error:  # TensorFlow raises a class for each kind of damage
                if isinstance(error, ValueError):
                    raise _misfit(folder, path, first_line(error).rstrip(".")) from error
                if isinstance(error, AssertionError) and not is_whole:
                    raise _misfit(folder, path, "it asks for more than they are") from error
                holds_other_objects |= isinstance(error, AssertionError)
                warnings.warn(f"{path} cannot be read: {first_line(error)}", stacklevel=2)
        tried |= untried
    if holds_other_objects:
        raise UserError(
            f"{folder.checkpoints}: another version of this code saved them; they can be used "
            "(sample, reconstruct, evaluate), but not trained on"
        )
    if tried or (steps is None and folder.rows()):
        raise UserError(f"{folder.checkpoints}: no checkpoint that can be read")
    return None


def _misfit(folder: RunFolder, path: Path, why: str) -> UserError:
    return UserError(f"{folder.config_path} does not fit the weights of {path.name}: {why}")


def _saved(folder: RunFolder, steps: Collection[int] | None) -> set[tuple[int, Path]]:
    """(step, path) of the checkpoints to choose from, see `restore_newest`."""
    found = {*folder.saved_steps().items()}
    if steps is not None:
        found |= {*folder.saved_steps(best=True).items()}
    return {(step, path) for step, path in found if steps is None or step in steps}


def _variables(state: Mapping[str, Any]) -> list[Any]:
    """All variables of a dict of models, optimizers, modules and variables, in one order."""
    return [
        variable
        for trackable in state.values()
        for variable in getattr(trackable, "variables", [trackable])
    ]


class Checkpoints:
    """TensorFlow's checkpoints of a `train.step.Trainer` in its run folder, named by step.

    Keeps the last `kept` checkpoints, and the best by FID in a folder of its own. The chief alone
    reads and writes files; the other processes get the state from it.
    """

    def __init__(self, trainer: Trainer, folder: RunFolder, kept: int = 2) -> None:
        self.folder = folder
        self.progress = Progress(trainer.statistics)
        self._processes = trainer.processes
        self._state = {"progress": self.progress} | trainer.state()
        if self._processes.is_chief:
            self._checkpoint = tf.train.Checkpoint(**self._state)
            self._manager = self._manage(folder.checkpoints, kept)
            self._best = self._manage(folder.best, 1)

    def _manage(self, path: Path, kept: int) -> tf.train.CheckpointManager:
        self._rebuild_list(path)
        return tf.train.CheckpointManager(
            self._checkpoint, str(path), kept, checkpoint_name=CHECKPOINT_NAME
        )

    def _rebuild_list(self, path: Path) -> None:
        """Write TensorFlow's list of checkpoints, which may be damaged, from what is there."""
        saved = self.folder.saved_steps(best=path == self.folder.best)
        paths = [saved[step] for step in sorted(saved)]
        if paths:
            times = [file.with_suffix(".index").stat().st_mtime for file in paths]
            lines = [f'model_checkpoint_path: "{paths[-1].name}"']
            lines += [f'all_model_checkpoint_paths: "{file.name}"' for file in paths]
            lines += [f"all_model_checkpoint_timestamps: {time}" for time in times]
            text = "\n".join([*lines, ""])
            write_whole(path / "checkpoint", lambda unfinished: unfinished.write_text(text))

    def restore(self) -> int | None:
        """Bring the trainer to the newest state, see `restore_newest`; returns its step."""
        step = None
        if self._processes.is_chief:
            try:
                step = restore_newest(self._checkpoint, self.folder)
                self.progress.complete()
            except UserError as error:
                advice = "--fresh starts over, after moving the run aside"
                raise UserError(f"{error}; {advice}") from error
        step = self._processes.from_chief(step)
        if step is not None:
            self._processes.copy_from_chief(_variables(self._state))
        return step

    def save(self, step: int) -> None:
        """Save the state after `step` steps in all. Raises UserError."""
        if self._processes.is_chief:
            self._save(self._manager, step)

    def save_best(self, step: int) -> None:
        """Save the state as the best so far too."""
        if self._processes.is_chief:
            self._save(self._best, step)

    def _save(self, manager: tf.train.CheckpointManager, step: int) -> None:
        self.folder.require_present()
        try:
            manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            raise UserError(
                f"{manager.directory}: cannot save a checkpoint: {first_line(error)}; the earlier "
                "ones are kept"
            ) from error
        self._remove_leftovers(manager)

    def _remove_leftovers(self, manager: tf.train.CheckpointManager) -> None:
        """Remove leftovers of a process killed while saving; TensorFlow does not."""
        known = {Path(path).name for path in manager.checkpoints}
        for file in Path(manager.directory).glob(f"{CHECKPOINT_NAME}-*"):
            if file.is_dir():
                shutil.rmtree(file, ignore_errors=True)
            elif file.name.partition(".")[0] not in known:
                file.unlink(missing_ok=True)
