"""Processes beside the main one."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from config import UserError
from train.runtime import processes


def warn():
    warnings.warn("Corrupt EXIF data.  Expecting to read 2 bytes\nbut only got 0. ", stacklevel=1)
    warnings.warn("Image size (99000000 pixels) exceeds limit of 89478485 pixels", stacklevel=1)
    return os.getpid()


def test_warnings_are_one_line_without_the_source():
    code = (
        "from tests.test_processes import warn\n"
        "from train.runtime import processes\n"
        "processes.call('warning', warn)\n"
    )
    command = [sys.executable, "-c", code]
    root = Path(__file__).parent.parent
    result = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    assert (
        result.stderr == "warning: Corrupt EXIF data. Expecting to read 2 bytes but only got 0.\n"
    )


def start_another():
    return os.getpid(), os.environ["SETTING"], processes.call("the inner call", os.getpid)


def refuse():
    raise UserError("no")


def fail():
    raise ZeroDivisionError


def test_a_call_in_a_process_of_its_own(monkeypatch):
    monkeypatch.setenv("SETTING", "as it is now")
    process, setting, inner = processes.call("the call", start_another)
    assert len({os.getpid(), process, inner}) == 3
    assert setting == "as it is now"
    with pytest.raises(UserError, match=r"^no$"):
        processes.call("the call", refuse)
    with pytest.raises(processes.FaultError, match=r"^the call:\nTraceback[^$]*ZeroDiv"):
        processes.call("the call", fail)
    with pytest.raises(processes.FaultError, match=r"^the call was killed \(exit code 3\)$"):
        processes.call("the call", os._exit, 3)
