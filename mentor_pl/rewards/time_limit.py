"""A limit on how long a call may take, by the clock.

It is kept by SIGALRM, so in the main thread alone; in others there is no limit. It ends whatever lets Python run signal
handlers: loops, waits for locks, files and networks, and regular expressions; not a foreign function that never comes
back to Python.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_AGAIN_SECONDS = 0.5  # at least, between one signal and the next: they must not meet on the way out


class TimeUp(BaseException):
    """Raised inside a call that takes too long; its own `except Exception` does not stop it."""


class _Alarm:
    """Handler of the signal."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.over = seconds, False

    def __call__(self, *_: Any) -> None:
        if not self.over:
            raise TimeUp(f"did not return within {self.seconds:g} s")


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeUp` in what runs here once it has taken `seconds`, and each time after. A limit within one is none."""
    before = signal.getsignal(signal.SIGALRM)
    if isinstance(before, _Alarm) or threading.current_thread() is not threading.main_thread():
        yield
        return
    timer, alarm = signal.getitimer(signal.ITIMER_REAL), _Alarm(seconds)
    try:
        try:
            signal.signal(signal.SIGALRM, alarm)
            signal.setitimer(signal.ITIMER_REAL, seconds, max(seconds, _AGAIN_SECONDS))
            yield
        finally:
            alarm.over = True  # if the signal comes here or before, the next one is far off
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
