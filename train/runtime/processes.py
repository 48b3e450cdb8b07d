"""Processes beside the main one, which end when it does. See `start` and `end`."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from typing import Any

from train.runtime.signals import Stopped, raise_when_signalled
from train.runtime.startup import shorten_warnings

_SPAWN = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
Queue = _SPAWN.Queue


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a process: it ignores Ctrl-C, raises `Stopped` on SIGTERM, and ends with this one."""
    process = _SPAWN.Process(target=_main, args=(target, *arguments), daemon=True)
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which the new process inherits
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, handler)
    return process


def end(processes: Sequence[BaseProcess]) -> None:
    """Ask processes to end, and wait while they save a checkpoint; asked twice, kill them."""
    try:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
    except Stopped:
        for process in processes:
            process.kill()
        raise


def _main(target: Callable[..., None], *arguments: Any) -> None:
    raise_when_signalled()
    shorten_warnings()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        target(*arguments)
    except Stopped as stopped:
        sys.exit(stopped.exit_code)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # this process ends anyhow


def _end_with_parent() -> None:
    """Ask this process to end when its parent is gone, for example killed."""
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)
