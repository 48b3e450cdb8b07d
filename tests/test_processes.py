"""Processes beside the main one."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from config import UserError
from train.runtime import processes
from train.runtime.signals import Stopped, deferred, raise_when_signalled

ROOT = Path(__file__).parent.parent


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
    result = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
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


def has_tensorflow():
    return os.getcwd(), "tensorflow" in sys.modules


@pytest.mark.skipif(sys.platform != "linux", reason="there is no fork server")
def test_tensorflow_is_there_at_once_in_any_working_directory(tmp_path):
    (tmp_path / "train.py").write_text("print('not this one')")
    code = (
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.test_processes import has_tensorflow\n"
        "from train.runtime import processes\n"
        "print(*processes.call('looking', has_tensorflow))\n"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == (f"{tmp_path} True\n", "")


def interrupt_a_start():
    raise_when_signalled()
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        processes.start(os.getpid)
    except Stopped as stopped:
        print(stopped)


@pytest.mark.skipif(sys.platform != "linux", reason="there is no fork server")
def test_ctrl_c_counts_while_tensorflow_is_imported():
    code = "from tests.test_processes import interrupt_a_start as run\nrun()"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("SIGINT\n", "")


def save_when_asked(folder):
    with deferred() as noted:
        (folder / "started").touch()
        while not noted.number:
            time.sleep(0.01)
        time.sleep(0.5)
        (folder / "saved").touch()
        noted.raise_if_any()


def start_and_wait(folder):
    raise_when_signalled()
    process = processes.start(save_when_asked, Path(folder))
    try:
        process.join()
    except Stopped:
        processes.end([process])
        print(process.exitcode, (Path(folder) / "saved").exists())


def test_a_signal_to_all_processes_lets_them_save_and_is_waited_for(tmp_path):
    code = f"from tests.test_processes import start_and_wait as run\nrun({str(tmp_path)!r})"
    command = [sys.executable, "-c", code]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, **streams) as process:
        while process.poll() is None and not (tmp_path / "started").exists():
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.communicate(timeout=60) == ("143 True\n", "")
