"""A call that takes too long is ended, whatever it waits for, and nothing of the limit is left behind."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import threading
from collections.abc import Callable

import pytest

from mentor_pl.rewards.time_limit import TimeUp, time_limit


def loop() -> None:
    while True:
        pass


def swallowing() -> None:
    while True:
        with contextlib.suppress(Exception):
            loop()


def once_bare() -> None:
    try:
        loop()
    except BaseException:
        loop()


def waits_for_a_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def waits_for_a_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.recv(1)


def backtracks() -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")


@pytest.mark.parametrize("call", [loop, swallowing, once_bare, waits_for_a_lock, waits_for_a_socket, backtracks])
def test_what_never_returns_is_ended(call: Callable[[], None]) -> None:
    with pytest.raises(TimeUp, match=r"^did not return within 0\.05 s$"), time_limit(0.05):
        call()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_what_returns_in_time_is_left_alone_and_an_alarm_of_someone_elses_comes_back() -> None:
    theirs = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        handler = signal.getsignal(signal.SIGALRM)
        signal.setitimer(signal.ITIMER_REAL, 1e6)
        with time_limit(60):
            assert signal.getsignal(signal.SIGALRM) is not handler
        assert signal.getsignal(signal.SIGALRM) is handler
        assert signal.setitimer(signal.ITIMER_REAL, 0)[0] > 1e5
    finally:
        signal.signal(signal.SIGALRM, theirs)


def test_a_limit_within_a_limit_is_none() -> None:
    with pytest.raises(TimeUp, match=r"within 0\.05 s"), time_limit(0.05), time_limit(1e6):
        loop()


def test_a_limit_that_is_up_at_once_leaves_nothing_behind_either() -> None:
    for _ in range(300):
        with pytest.raises(TimeUp), time_limit(1e-6):
            loop()
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_in_another_thread_there_is_no_limit() -> None:
    seen = []

    def run() -> None:
        with time_limit(1e-9):
            seen.append(signal.getsignal(signal.SIGALRM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]
