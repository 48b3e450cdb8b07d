"""What SIGINT and SIGTERM do to a training."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import SMALLEST
from train.runs.folder import RunFolder
from train.runtime.signals import Stopped, deferred, raise_when_signalled

ROOT = Path(__file__).parent.parent
RUN = "normal_dls_dg"


def test_a_signal_saves_the_current_step_and_says_how_to_go_on(config_file, tmp_path):
    many = {"train.epochs": 1, "data.train_size": 1400, "train.checkpoint_every": "2 steps"}
    train = ["main.py", "train", str(config_file(**SMALLEST | many)), "--run", RUN, "--out"]
    started = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        out = str(tmp_path / f"after {number.name}")
        command = [sys.executable, *train, out]
        started[number] = out, subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    for number, (out, process) in started.items():
        folder = RunFolder(Path(out) / "tiny" / RUN / "seed_0")
        while process.poll() is None and len(folder.saved_steps()) < 2:
            time.sleep(0.01)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + number
        command = f"python {' '.join(train)} '{out}'"
        assert errors.decode() == f"stopped ({number.name}); to go on: {command}\n"
        assert 0 < max(folder.saved_steps()) < 350
        assert folder.rows() == []


def test_the_first_signal_is_deferred_and_the_second_is_not():
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    raise_when_signalled()
    try:
        with deferred() as noted:
            assert noted.number is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert noted.number == signal.SIGTERM
            with pytest.raises(Stopped, match="SIGTERM"):
                os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Stopped, match="SIGINT") as stopped:
            os.kill(os.getpid(), signal.SIGINT)
        assert stopped.value.exit_code == 130
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
