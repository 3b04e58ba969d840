"""Stopping on SIGTERM or SIGINT: at once where nothing can be lost, else at the next point that loses nothing.

Between `be_careful` and `be_careless` a first signal is only noted. Long work asks `check` as it goes, which gives up
with `Stopped`; `collectives.together` makes that one decision of all ranks. A second signal ends the process at once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
    """A signal has asked for the end.

    Attributes:
        signum: which.
        step: rollout batches the policy has learned from.
        saved: the checkpoint that holds them; none where there was nothing new to save.
    """

    def __init__(self, signum: int, step: int = 0, saved: Path | None = None) -> None:
        super().__init__(signum)
        self.signum, self.step, self.saved = signum, step, saved

    def __str__(self) -> str:
        return signal.Signals(self.signum).name

    @property
    def folder(self) -> Path | None:
        """The run's."""
        return self.saved.parent.parent if self.saved is not None else None


class _Process:
    """What this process knows of signals, which are its own and no object's."""

    installed = careful = False
    requested: int | None = None
    children: Callable[[], Sequence[Any]] = list  # processes that a signal is passed on to, as Popen gives them


@contextmanager
def installed() -> Iterator[None]:
    """Inside, SIGTERM and SIGINT raise `Stopped`; handlers are then as they were. Only a main thread has signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    _Process.installed, _Process.careful, _Process.requested = True, False, None
    _take()
    try:
        yield
    finally:
        _Process.installed, _Process.careful, _Process.children = False, False, list
        for signum, handler in before.items():
            signal.signal(signum, handler)


def pass_on(children: Callable[[], Sequence[Any]]) -> None:
    """Pass signals on to `children`, the further ranks that this process has started."""
    _Process.children = children


def be_careful() -> None:
    """From here on a first signal is only noted, so somebody must ask. Does nothing where `installed` is not around."""
    if _Process.installed:
        _Process.careful = True
        _take()  # the Trainer has put a handler of its own in front, which talks to other ranks from inside


def be_careless() -> None:
    """From here on a signal ends things at once again.

    Raises:
        Stopped: where one has been noted.
    """
    try:
        check()
    finally:
        _Process.careful = False


def _take() -> None:
    for signum in SIGNALS:
        signal.signal(signum, _on_signal)


def _on_signal(signum: int, frame: FrameType | None) -> None:
    first = _Process.requested is None
    if not first and is_launched():
        return  # its parent passes on what the terminal has sent already
    _Process.requested = _Process.requested or signum
    for child in _Process.children():
        child.send_signal(signum if first else signal.SIGKILL)
    if not first:
        os._exit(128 + signum)
    if not _Process.careful:
        raise Stopped(signum)
    if not is_launched():
        name = signal.Signals(signum).name
        os.write(2, f"\nmentor: {name}: saving what is complete; again to end at once\n".encode())


def is_launched() -> bool:
    """Whether this process is a further rank, which the command has started itself."""
    return int(os.environ.get("LOCAL_RANK", "0")) > 0 and "TORCHELASTIC_RUN_ID" not in os.environ


def check() -> None:
    """Give up where this process has been asked to.

    Raises:
        Stopped: then.
    """
    if _Process.requested is not None and _Process.careful:
        raise Stopped(_Process.requested)
