"""A disk that loses its power while a training writes to it. See `Disk` and `ends_as_expected`."""

import fcntl
import os
import random
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

from config import Config
from tests.survival import start_training, states_are_equal, train_to_the_end
from train.runs.folder import RunFolder

_BYTES = 2**28
_SHUT_DOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN in fs/ext4/ext4.h of Linux
_WITHOUT_FLUSH = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH
_POLL_SECONDS = 0.001


class Disk:
    """A context manager that mounts an ext4 file system, in a file of its own, at `path`.

    Only root can, on Linux. Raises OSError or subprocess.CalledProcessError.
    """

    def __init__(self, folder: Path) -> None:
        self.path, self._file = folder / "disk", folder / "disk.image"

    def __enter__(self) -> "Disk":
        self.path.mkdir(parents=True)
        with open(self._file, "wb") as file:
            file.truncate(_BYTES)
        _run("mkfs.ext4", "-q", "-F", self._file)
        _run("mount", "-o", "loop", self._file, self.path)
        return self

    def __exit__(self, *_: object) -> None:
        _run("umount", self.path)

    def cut_power(self) -> None:
        """Lose everything that is not flushed, and let nothing be written any more."""
        opened = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(opened, _SHUT_DOWN, struct.pack("I", _WITHOUT_FLUSH))
        finally:
            os.close(opened)

    def restore_power(self) -> None:
        """Mount what is left. No process may use the disk."""
        _run("umount", self.path)
        _run("mount", "-o", "loop", self._file, self.path)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def ends_as_expected(
    config: Config, disk: Disk, row: int, chance: random.Random, expected: Any
) -> bool:
    """Whether a run ends in the expected state though the power goes just after row `row` appears.

    `expected` is the `tests.survival.final_state` of a run that was left alone.
    """
    folder = RunFolder(disk.path / "run")
    process = start_training(config, folder.path)
    try:
        while process.is_alive() and folder.epochs_done() < row:
            time.sleep(_POLL_SECONDS)
        time.sleep(chance.uniform(0, 0.05))
        disk.cut_power()
    finally:
        process.kill()
        process.join()
    disk.restore_power()
    try:
        return states_are_equal(train_to_the_end(config, folder.path), expected)
    except RuntimeError:  # it did not go on
        return False
