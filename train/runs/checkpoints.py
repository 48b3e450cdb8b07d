"""The state of a run on disk. See `Checkpoints` and `restore_newest`."""

import contextlib
import shutil
import tempfile
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from config import UserError, first_line
from data.storage import flush, make_folder, write_whole
from train.runs.folder import CHECKPOINT_NAME, RunFolder
from train.runs.progress import Progress
from train.step import Trainer


class _Saved(NamedTuple):
    """A checkpoint that was found; one that replaces it under the same name has another `file`."""

    step: int
    path: Path
    file: tuple[int, int]  # inode and time of the index, see `_identity`


def restore_newest(
    checkpoint: tf.train.Checkpoint,
    folder: RunFolder,
    steps: Collection[int] | None = None,
    is_whole: bool = True,
) -> int | None:
    """Bring a checkpoint's objects to the newest state in a run's folder that can be read.

    Returns its step, None if there is none. A checkpoint that cannot be read is left out with a
    warning; one that a training run removes meanwhile is left out without. With `steps` only
    checkpoints of these steps count, the best one included. The file must hold everything in
    `checkpoint`; with `is_whole`, `checkpoint` must contain everything in the file. Raises
    UserError if all are damaged, if they are gone while metrics are there, and if the config was
    edited and no longer fits.
    """
    has_metrics = folder.metrics_path.exists()  # asked first: a checkpoint comes before a row
    tried: set[_Saved] = set()
    is_damaged = holds_other_objects = False
    while untried := _saved(folder, steps) - tried:  # a run that is training replaces them
        for saved in sorted(untried, reverse=True):
            try:
                _restore(checkpoint, saved.path, is_whole)
                return saved.step
            except (MemoryError, tf.errors.ResourceExhaustedError):
                raise
            except Exception as error:  # TensorFlow raises a class for each kind of damage
                if saved not in _saved(folder, steps):
                    continue
                if isinstance(error, ValueError):
                    raise _misfit(folder, saved.path, first_line(error).rstrip(".")) from error
                if isinstance(error, AssertionError) and not is_whole:
                    raise _misfit(folder, saved.path, "it asks for more than they are") from error
                is_damaged = True
                holds_other_objects |= isinstance(error, AssertionError)
                warnings.warn(f"{saved.path} cannot be read: {first_line(error)}", stacklevel=2)
        tried |= untried
    if holds_other_objects:
        raise _of_another_version(folder)
    if is_damaged or (steps is None and has_metrics):
        raise UserError(f"{folder.checkpoints}: no checkpoint that can be read")
    return None


def _misfit(folder: RunFolder, path: Path, why: str) -> UserError:
    return UserError(f"{folder.config_path} does not fit the weights of {path.name}: {why}")


def _of_another_version(folder: RunFolder) -> UserError:
    return UserError(
        f"{folder.checkpoints}: another version of this code saved them; they can be used (sample, "
        "reconstruct, evaluate), but not trained on"
    )


def _restore(checkpoint: tf.train.Checkpoint, path: Path, is_whole: bool) -> None:
    status = checkpoint.restore(str(path))
    if is_whole:
        status.assert_consumed()
    else:
        status.assert_existing_objects_matched().expect_partial()


def _saved(folder: RunFolder, steps: Collection[int] | None) -> set[_Saved]:
    """The checkpoints to choose from, see `restore_newest`."""
    while True:
        found = [*folder.saved_steps().items()]
        if steps is not None:
            found += folder.saved_steps(best=True).items()
        with contextlib.suppress(FileNotFoundError):  # one was removed since: look again
            return {
                _Saved(step, path, _identity(path.with_suffix(".index")))
                for step, path in found
                if steps is None or step in steps
            }


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_ino, status.st_mtime_ns


def _variables(state: Mapping[str, Any]) -> list[Any]:
    """All variables of a dict of models, optimizers, modules and variables, in one order."""
    return [
        variable
        for trackable in state.values()
        for variable in getattr(trackable, "variables", [trackable])
    ]


class Checkpoints:
    """TensorFlow's checkpoints of a `train.step.Trainer` in its run folder, named by step.

    Keeps the last `kept` checkpoints, and the best by FID in a folder of its own. An older one is
    removed when the new one is on disk. The chief alone reads and writes files; the other processes
    get the state from it.
    """

    def __init__(self, trainer: Trainer, folder: RunFolder, kept: int = 2) -> None:
        self.folder = folder
        self.kept = kept
        self.progress = Progress(trainer.statistics)
        self._processes = trainer.processes
        self._state = {"progress": self.progress} | trainer.state()
        if self._processes.is_chief:
            self._checkpoint = tf.train.Checkpoint(**self._state)

    def restore(self) -> int | None:
        """Bring the trainer to the newest state, see `restore_newest`; returns its step."""
        step = None
        if self._processes.is_chief:
            try:
                step = restore_newest(self._checkpoint, self.folder)
                if not self.progress.complete():
                    raise _of_another_version(self.folder)
            except UserError as error:
                advice = "--fresh starts over, after moving the run aside"
                raise UserError(f"{error}; {advice}") from error
        step = self._processes.from_chief(step)
        if step is not None:
            self._processes.copy_from_chief(_variables(self._state))
        return step

    def save(self, step: int) -> None:
        """Save the state after `step` steps in all; then it is on disk. Raises UserError."""
        if self._processes.is_chief:
            self._save(self.folder.checkpoints, step, self.kept)

    def save_best(self, step: int) -> None:
        """Save the state as the best so far too."""
        if self._processes.is_chief:
            self._save(self.folder.best, step, kept=1)

    def _save(self, folder: Path, step: int, kept: int) -> None:
        self.folder.require_present()
        try:
            make_folder(folder)
            self._write(folder, step)
            steps = self.folder.saved_steps(best=folder == self.folder.best)
            newest = [steps[number] for number in sorted(steps) if number <= step][-kept:]
            _write_list(folder, newest)  # it flushes the folder: all new names are on disk
        except (tf.errors.OpError, OSError) as error:
            raise UserError(
                f"{folder}: cannot save a checkpoint: {first_line(error)}; the earlier ones are "
                "kept"
            ) from error
        _remove_others(folder, newest)

    def _write(self, folder: Path, step: int) -> None:
        """Write the files elsewhere, flush them, and give them their names, the index last."""
        self._checkpoint.save_counter.assign_add(1)  # as TensorFlow's own manager does
        with tempfile.TemporaryDirectory(dir=folder, prefix=f"{CHECKPOINT_NAME}-") as unfinished:
            self._checkpoint.write(f"{unfinished}/{CHECKPOINT_NAME}-{step}")
            for file in sorted(Path(unfinished).iterdir()):
                flush(file)
                file.rename(folder / file.name)


def _write_list(folder: Path, paths: list[Path]) -> None:
    """Write TensorFlow's list of checkpoints, oldest first; only its own functions read it."""
    lines = [f'model_checkpoint_path: "{paths[-1].name}"']
    lines += [f'all_model_checkpoint_paths: "{path.name}"' for path in paths]
    text = "\n".join([*lines, ""])
    write_whole(folder / "checkpoint", lambda unfinished: unfinished.write_text(text))


def _remove_others(folder: Path, kept: list[Path]) -> None:
    """Remove other checkpoints, and what a process that was killed while saving left."""
    names = {path.name for path in kept}
    files = folder.glob(f"{CHECKPOINT_NAME}-*")
    for file in sorted(files, key=lambda file: file.suffix != ".index"):  # then none finds them
        if file.is_dir():
            shutil.rmtree(file, ignore_errors=True)
        elif file.name.partition(".")[0] not in names:
            file.unlink(missing_ok=True)
