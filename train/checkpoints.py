"""The state of a run on disk. See `Checkpoints` and `restore_newest`."""

import shutil
import warnings
from pathlib import Path

import tensorflow as tf

from config import UserError
from train.device import first_line
from train.run_folder import CHECKPOINT_NAME


class Progress(tf.Module):
    """How far a run is: what a checkpoint holds beside the state of the trainer.

    `epoch` (from 1; 0 before the first), `step` within it, and over its steps so far the sum of
    L_enc and the seconds.
    """

    def __init__(self):
        super().__init__()
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.encoder_loss = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self.seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    def assign(self, epoch, step, encoder_loss=0.0, seconds=0.0):
        self.epoch.assign(epoch)
        self.step.assign(step)
        self.encoder_loss.assign(encoder_loss)
        self.seconds.assign(seconds)


def restore_newest(checkpoint, folder, steps=None, is_whole=True):
    """Bring a `tf.train.Checkpoint` to the newest state in a run's folder that can be read.

    Returns its step, None if there is none. A checkpoint that cannot be read is left out with a
    warning. With `steps` only those of these steps count, the best one included. `is_whole` is
    whether `checkpoint` must name all that was saved; all that it names must have been saved in any
    case. Raises UserError if all are damaged, or gone while metrics are there.
    """
    tried = set()
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
                warnings.warn(f"{path} cannot be read: {first_line(error)}", stacklevel=2)
        tried |= untried
    if tried or (steps is None and folder.rows()):
        raise UserError(f"{folder.checkpoints}: no checkpoint that can be read")
    return None


def _saved(folder, steps):
    """(step, path) of the checkpoints to choose from, see `restore_newest`."""
    found = {*folder.saved_steps().items()}
    if steps is not None:
        found |= {*folder.saved_steps(best=True).items()}
    return {(step, path) for step, path in found if steps is None or step in steps}


def _variables(state):
    """All variables of a dict of models, optimizers, modules and variables, in one order."""
    return [
        variable
        for trackable in state.values()
        for variable in getattr(trackable, "variables", [trackable])
    ]


class Checkpoints:
    """TensorFlow's checkpoints of a `train.step.Trainer` in its run folder, named by step.

    The last `kept` are kept, and the best by FID in a folder of its own. Of several processes the
    chief alone reads and writes files; from it the others get the state.
    """

    def __init__(self, trainer, folder, kept=2):
        self.folder = folder
        self.progress = Progress()
        self._workers = trainer.workers
        self._state = {"progress": self.progress} | trainer.state()
        if self._workers.is_chief:
            self._checkpoint = tf.train.Checkpoint(**self._state)
            self._manager = self._manage(folder.checkpoints, kept)
            self._best = self._manage(folder.best, 1)

    def _manage(self, path, kept):
        return tf.train.CheckpointManager(
            self._checkpoint, str(path), kept, checkpoint_name=CHECKPOINT_NAME
        )

    def restore(self, steps=None):
        """Bring the trainer to the newest state, see `restore_newest`."""
        step = None
        if self._workers.is_chief:
            step = restore_newest(self._checkpoint, self.folder, steps)
        step = self._workers.from_chief(step)
        if step is not None:
            self._workers.copy_from_chief(_variables(self._state))
        return step

    def save(self, step):
        """Save the state after so many steps in all. Raises UserError."""
        if self._workers.is_chief:
            self._save(self._manager, step)

    def save_best(self, step):
        """Save it as the best so far too."""
        self._save(self._best, step)

    def _save(self, manager, step):
        self.folder.require_present()
        try:
            manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            raise UserError(
                f"{manager.directory}: cannot save a checkpoint: {first_line(error)}; those before "
                "are kept"
            ) from error
        self._remove_leftovers(manager)

    def _remove_leftovers(self, manager):
        """Of a process that was killed while it saved: TensorFlow does not know of them."""
        known = {Path(path).name for path in manager.checkpoints}
        for file in Path(manager.directory).glob(f"{CHECKPOINT_NAME}-*"):
            if file.is_dir():
                shutil.rmtree(file, ignore_errors=True)
            elif file.name.partition(".")[0] not in known:
                file.unlink(missing_ok=True)
