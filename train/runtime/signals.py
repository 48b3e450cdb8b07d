"""Ctrl-C and SIGTERM as an exception, at once or after the current step. See `deferred`."""

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """The user or the system asked this process to end; `exit_code` is what a shell expects."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


class DeferredSignal:
    """The first signal that came, `number`, or None."""

    def __init__(self) -> None:
        self.number: int | None = None

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Note the first signal; raise `Stopped` at the second.

        A process beside the main one does not raise: it gets two where a batch system asks all
        processes to end, and the main one kills it if it shall not wait.
        """
        if multiprocessing.parent_process() is None:
            self.raise_if_any()
        self.number = number

    def raise_if_any(self) -> None:
        """Raise `Stopped` if a signal came."""
        if self.number:
            raise Stopped(self.number)


def raise_when_signalled() -> None:
    """From now on SIGINT and SIGTERM raise `Stopped`, wherever the main thread is."""
    for number in SIGNALS:
        signal.signal(number, _raise)


@contextlib.contextmanager
def deferred() -> Iterator[DeferredSignal]:
    """Within, the first signal is only noted, for the caller to look at.

    A second one raises, see `DeferredSignal.handle`.
    """
    noted = DeferredSignal()
    # A process that ignores a signal goes on ignoring it.
    handlers = {n: signal.getsignal(n) for n in SIGNALS}
    handlers = {n: handler for n, handler in handlers.items() if handler != signal.SIG_IGN}
    for number in handlers:
        signal.signal(number, noted.handle)
    try:
        yield noted
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Stopped(number)
