"""Stopping on SIGTERM or SIGINT: at once where nothing can be lost, else at the next point that loses nothing.

Between `be_careful` and `be_careless` a first signal is only noted. Long work asks `check` as it goes, which gives up
with `Stopped`; `collectives.together` makes that one decision of all ranks. A second signal ends the process at once.

Python's handlers wait for the main thread to come back from C++, where ranks that meet may wait for one another for
hours. So a thread that hears of signals from the kernel's handler ends what does not end by itself.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGINT)
PATIENCE = 8.0  # seconds for an end where nothing can be lost
_END = b"\0"  # no signal has this number


class Stopped(BaseException):
    """A signal has asked for the end.

    Attributes:
        signum: which.
        step: rollout batches the policy has learned from.
        saved: the checkpoint that holds them; none where there was nothing new to save.
        alone: whether no other rank knows of it from this one.
    """

    def __init__(self, signum: int, step: int = 0, saved: Path | None = None, *, alone: bool = False) -> None:
        super().__init__(signum)
        self.signum, self.step, self.saved, self.alone = signum, step, saved, alone

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
    parent = 0


@contextmanager
def installed() -> Iterator[None]:
    """Inside, SIGTERM and SIGINT raise `Stopped`; handlers are then as they were. Only a main thread has signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    _Process.installed, _Process.careful, _Process.requested, _Process.parent = True, False, None, os.getppid()
    heard, told = socket.socketpair()
    told.setblocking(False)
    woken = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    watch = threading.Thread(target=_watch, args=(heard,), daemon=True)
    watch.start()
    _take()
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        told.send(_END)  # so that the thread ends, once it has heard what was told before
        watch.join()
        told.close()
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
    if _Process.requested is not None:
        if not is_launched():  # else its parent passes on what the terminal has sent already
            _end(signum)
        return
    _Process.requested = signum
    for child in _Process.children():
        child.send_signal(signum)
    if not _Process.careful:
        raise Stopped(signum, alone=True)
    if is_first():
        name = signal.Signals(signum).name
        os.write(2, f"\nmentor: {name}: saving what is complete; again to end at once\n".encode())


def _watch(heard: socket.socket) -> None:
    """End the process on a second signal, and where nothing can be lost some time after the first."""
    first = 0
    with heard:
        while True:
            try:
                told = heard.recv(1)
            except TimeoutError:
                _end(first)
            if told == _END:
                return
            if told[0] in SIGNALS and not (first and is_launched()):
                if first:
                    _end(told[0])
                first = told[0]
                heard.settimeout(None if _Process.careful else PATIENCE)


def _end(signum: int) -> NoReturn:
    """End this process and those that it has started, whatever they are at."""
    for child in _Process.children():
        child.send_signal(signal.SIGKILL)
    if is_first():
        os.write(2, f"\nmentor: {signal.Signals(signum).name}: ended at once\n".encode())
    os._exit(128 + signum)


def tell_parent(signum: int, patience: float = PATIENCE + 1) -> None:
    """Pass a signal that has ended this rank on to the process that has started it, where that has not got it too."""
    until = time.monotonic() + patience
    while os.getppid() == _Process.parent:
        if time.monotonic() > until:
            os.kill(_Process.parent, signum)
            return
        time.sleep(0.05)


def is_first() -> bool:
    """Whether this process is rank 0, by what launchers of processes say of it."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


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
