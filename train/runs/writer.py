"""What a training writes into its run folder. See `RunWriter`."""

import contextlib
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from config import Config
from data.storage import flush, make_folder, named_in_errors, save_image
from train.monitor import NotFiniteError
from train.runs.changes import flatten
from train.runs.folder import RunFolder
from train.runs.tensorboard import TensorBoard


class RunWriter:
    """The writer for one run: the chief process alone writes.

    In the other processes of a training its methods write nothing and return None, False or "".
    """

    def __init__(self, folder: RunFolder, is_chief: bool) -> None:
        self.folder = folder
        self.is_chief = is_chief
        self._board: TensorBoard | None = None
        self._settings: dict[str, Any] = {}

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Within, no other training may write here. Raises UserError if one does."""
        if not self.is_chief:
            yield
            return
        self.folder.create()
        with self.folder.locked():
            yield

    def write_config(
        self, config: Config, run: str, seed: int, device: str, **begun_with: Any
    ) -> None:
        """Write config.yaml, see `RunFolder.write_config`; TensorBoard gets the settings later."""
        if self.is_chief:
            self.folder.write_config(config, run, seed, device, **begun_with)
            self._settings = flatten(config.model_dump(exclude={"experiment"}))

    def last_step(self, epoch: int) -> int | None:
        """See `RunFolder.last_step`."""
        return self.folder.last_step(epoch) if self.is_chief else None

    def is_best(self, row: Mapping[str, Any]) -> bool:
        """Whether an epoch's row has the best FID so far."""
        return self.is_chief and self.folder.is_best(row)

    def write_pictures(
        self,
        epoch: int,
        sheets: Mapping[str, np.ndarray],
        scale: np.ndarray,
        per_image: Mapping[str, np.ndarray],
    ) -> None:
        """Write an epoch's sheets by name, s (d_z,), and the metrics of each image by name.

        Afterwards they are on disk. Raises OSError or UserError, which name a file.
        """
        if not self.is_chief:
            return
        images = self.folder.images(epoch)
        for name, sheet in sheets.items():
            with named_in_errors(path := images / f"{name}.png"):
                save_image(path, sheet)
        with named_in_errors(path := images / "per_image.npz"):
            np.savez(path, **per_image)
        content = io.BytesIO()  # np.save into a file may pass over a full disk in silence
        np.save(content, scale)
        with named_in_errors(path := images / "scale.npy"):
            path.write_bytes(content.getbuffer())
        flush(*images.iterdir(), images)
        self._open_board().write_pictures(epoch, sheets, scale)

    def write_step_means(self, step: int, means: Mapping[str, float | None]) -> None:
        """Show means over the last steps, by name, in TensorBoard."""
        if self.is_chief:
            self._open_board().write_step_means(step, means)

    def write_row(self, row: dict[str, Any]) -> None:
        """Add the row of an epoch: with it the epoch is done, and all of it is on disk."""
        if self.is_chief:
            self._open_board().write_scalars(row)
            flush(*self.folder.tensorboard.iterdir(), self.folder.tensorboard)
            self.folder.append(row)

    def write_divergence(self, error: NotFiniteError) -> str:
        """Write divergence.json; returns a sentence with its path and the last good checkpoint."""
        if not self.is_chief:
            return ""
        last_steps = [
            {name: value if math.isfinite(value) else str(value) for name, value in row.items()}
            for row in error.steps
        ]
        step = max(self.folder.saved_steps(), default=None)
        path = self.folder.write_json(
            "divergence.json",
            {
                "quantity": error.name,
                "step": error.step,
                "last_good_checkpoint": step,
                "last_steps": last_steps,
            },
        )
        last_good = f"the last good checkpoint is of step {step}"
        if step is None:
            last_good = "there was no checkpoint yet"
        return f". The last steps are in {path}; {last_good}"

    def _open_board(self) -> TensorBoard:
        if self._board is None:
            make_folder(self.folder.tensorboard)
            self._board = TensorBoard(self.folder.tensorboard)
            self._board.write_settings(self._settings)
        return self._board
