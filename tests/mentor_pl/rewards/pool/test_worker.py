"""The process side of the pool: frames, and what a worker may do."""

from __future__ import annotations

import errno
import os.path
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mentor_pl.rewards.pool.worker import _fork, encode, receive, resolve

ROOT = Path(__file__).parents[4]


def test_a_frame_is_a_length_and_json() -> None:
    assert encode({"a": 1}) == b"\x00\x00\x00\x08" + b'{"a": 1}'


@pytest.mark.parametrize("value", [None, 1.5, "\x00\ud800", {"item": ["x" * 300_000]}])
def test_frames_arrive_whole_however_the_bytes_come(value: object) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        frame = encode(value)

        def trickle() -> None:
            for start in range(0, len(frame), 1000):
                ours.sendall(frame[start : start + 1000])

        sender = threading.Thread(target=trickle)
        sender.start()
        assert receive(theirs) == value
        sender.join()


def test_a_channel_that_ends_in_a_frame_is_an_end_of_file() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(encode("cut off")[:-1])
        ours.close()
        with pytest.raises(EOFError):
            receive(theirs)


def test_a_task_is_named_by_module_and_function() -> None:
    assert resolve("os.path:join") is os.path.join
    with pytest.raises(ModuleNotFoundError):
        resolve("no_such_module:act")


def test_a_worker_has_its_memory_limited_and_writes_no_files(tmp_path: Path) -> None:
    code = (
        "import resource\nfrom mentor_pl.rewards.pool.worker import _limit\n_limit(512)\n"
        "print(*(resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE)), flush=True)\n"
        "try:\n    bytearray(1 << 30)\nexcept MemoryError:\n    print('limited', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "0 0"
    if sys.platform.startswith("linux"):  # macOS refuses the limit of memory
        assert lines[1:] == ["limited"]


def test_a_fork_that_the_system_refuses_is_told_and_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", refuse)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        before = len(os.listdir("/dev/fd"))
        _fork(theirs, len, 512)
        assert receive(ours) == {"refused": "Resource temporarily unavailable"}
        assert len(os.listdir("/dev/fd")) == before
