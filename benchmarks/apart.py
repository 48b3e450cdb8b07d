"""A measurement in a process of its own. See `call_apart`."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def call_apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a new process; returns what it returns.

    So each measurement has its own peak memory, threads and options of TensorFlow. Raises
    `BrokenProcessPool` if the system kills the process.
    """
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()
