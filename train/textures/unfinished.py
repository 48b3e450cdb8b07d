"""The state of a long optimisation on disk, so that a killed one goes on. See `Unfinished`."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from config import UserError
from data.checked_files import read_checked, write_checked
from data.storage import make_folder, write_whole

_SECONDS_BETWEEN = 30
_STATE, _PURPOSE = "state.npz", "purpose.txt"


class Unfinished:
    """A folder with the arrays of the last saved step; it is there only while they are needed.

    `purpose` is a text that says what is computed, settings and exemplar included.
    """

    def __init__(self, folder: Path, purpose: str) -> None:
        self.folder = folder
        self.purpose = purpose
        self._saved = time.monotonic()

    def read(self) -> dict[str, np.ndarray] | None:
        """The arrays that were saved, or None; a damaged file counts as none, with a warning.

        Raises UserError if they are of something else.
        """
        if not self.folder.exists():
            return None
        path = self.folder / _PURPOSE
        if not path.is_file() or path.read_text(encoding="utf-8") != self.purpose:
            raise UserError(
                f"{self.folder} is of a training with other settings or another image that did not "
                "end; repeat its command, remove the folder or choose another --out"
            )
        file = read_checked(self.folder / _STATE, "the training begins again")
        return None if file is None else dict(np.load(file))

    def save_when_due(
        self, arrays: Callable[[], dict[str, np.ndarray]], is_ending: bool = False
    ) -> None:
        """Save the arrays if the last ones are old, or if the process is about to end."""
        if not is_ending and time.monotonic() - self._saved < _SECONDS_BETWEEN:
            return
        make_folder(self.folder)
        write_whole(self.folder / _PURPOSE, lambda path: path.write_text(self.purpose, "utf-8"))
        write_checked(self.folder / _STATE, lambda file: np.savez(file, **arrays()))
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Remove the folder, after what it was for is written."""
        shutil.rmtree(self.folder, ignore_errors=True)
