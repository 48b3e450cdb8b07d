"""Processes beside the main one, which end when it does. See `start`, `call` and `end`."""

import contextlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from config import UserError, in_one_line
from train.runtime.signals import Stopped, raise_when_signalled
from train.runtime.startup import shorten_warnings

# TensorFlow does not survive a fork of a process that computes; Linux forks one that has only
# imported it, once for all processes.
_FORKS = sys.platform == "linux"
_CONTEXT = multiprocessing.get_context("forkserver" if _FORKS else "spawn")
_CONTEXT.set_forkserver_preload(["train.runtime.preloaded"])
Queue = _CONTEXT.Queue
_PROJECT = Path(__file__).parents[2]
_WAIT_SECONDS = 0.5


class FaultError(Exception):
    """A fault of the program ended a process (the message has a traceback), or a kill did."""


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a process: it ignores Ctrl-C, raises `Stopped` on SIGTERM, and ends with this one."""
    process = _CONTEXT.Process(
        target=_main, args=(dict(os.environ), target, *arguments), daemon=True
    )
    # The new process inherits that it ignores Ctrl-C, from this one or from the fork server.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if _FORKS:
            _require_fork_server()
        else:
            process.start()
    finally:
        signal.signal(signal.SIGINT, handler)
    if _FORKS:
        process.start()  # it waits until the fork server has imported TensorFlow
    return process


def call(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own; returns what it returns, which is not None.

    `name` says in error messages what it does. Raises UserError if the function does, or OSError,
    and FaultError if it raises anything else or is killed.
    """
    answers = Queue()
    process = start(_answer, answers, name, function, *arguments)
    answer = None
    try:
        while answer is None:
            is_alive = process.is_alive()
            with contextlib.suppress(queue.Empty):
                answer = answers.get(timeout=_WAIT_SECONDS)
            if answer is None and not is_alive:
                raise FaultError(f"{name} was killed (exit code {process.exitcode})")
    finally:
        process.kill()
        process.join()
    if isinstance(answer, Exception):
        raise answer
    return answer


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


def _require_fork_server() -> None:
    """Start the fork server, if there is none, where it finds what it imports.

    Older Pythons let it look in its working directory alone; the processes that it forks have that
    of this one.
    """
    folder = os.getcwd()
    os.chdir(_PROJECT)
    try:
        ensure_running()
    finally:
        os.chdir(folder)


def _answer(answers: Any, name: str, function: Callable[..., Any], *arguments: Any) -> None:
    try:
        answers.put(function(*arguments))
    except (UserError, OSError) as error:
        answers.put(UserError(in_one_line(error)))
    except Exception:  # an exception of TensorFlow may not survive the way to the parent
        answers.put(FaultError(f"{name}:\n{traceback.format_exc()}"))


def _main(environment: dict[str, str], target: Callable[..., None], *arguments: Any) -> None:
    os.environ |= environment  # of the process that starts this one, not of the fork server
    shorten_warnings()
    multiprocessing.current_process().daemon = False  # so that it may start processes too
    try:
        raise_when_signalled()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this
        threading.Thread(target=_end_with_parent, daemon=True).start()
        target(*arguments)
    except Stopped as stopped:
        sys.exit(stopped.exit_code)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # this process ends anyhow


def _end_with_parent() -> None:
    """Ask this process to end when its parent is gone, for example killed."""
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)
