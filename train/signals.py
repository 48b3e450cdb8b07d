"""Ctrl-C and SIGTERM as an exception, at once or after the current step. See `deferred`."""

import contextlib
import signal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """The user or the system asked this process to end; `exit_code` is what a shell expects."""

    def __init__(self, signal_number):
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


class Noted:
    """What `deferred` yields."""

    signal = None

    def raise_if_any(self):
        """Raise `Stopped` if a signal came."""
        if self.signal:
            raise Stopped(self.signal)


def raise_when_signalled():
    """From now on SIGINT and SIGTERM raise `Stopped`, wherever the main thread is."""
    for number in _SIGNALS:
        signal.signal(number, _raise)


@contextlib.contextmanager
def deferred():
    """Within, the first signal is only noted, for the caller to look at; a second one raises."""
    noted = Noted()

    def note(number, _):
        noted.raise_if_any()
        noted.signal = number

    # A process that ignores a signal goes on ignoring it.
    handlers = {n: signal.getsignal(n) for n in _SIGNALS}
    handlers = {n: handler for n, handler in handlers.items() if handler != signal.SIG_IGN}
    for number in handlers:
        signal.signal(number, note)
    try:
        yield noted
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _raise(number, _):
    raise Stopped(number)
