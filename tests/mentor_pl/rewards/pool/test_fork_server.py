"""The warm process and the workers it forks."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mentor_pl.rewards.pool import fork_server
from mentor_pl.rewards.pool.fork_server import ForkServer, ServerLost, WorkerError, _environment
from mentor_pl.rewards.pool.worker import encode, receive


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    running = ForkServer("worker_tasks:act", [["echo", 0]], 512)
    yield running
    running.close()


def ask(channel: socket.socket, item: list[Any]) -> Any:
    channel.setblocking(True)
    channel.settimeout(60)
    channel.sendall(encode(item))
    return receive(channel)


def test_every_worker_is_a_process_of_its_own_under_the_server(server: ForkServer) -> None:
    (one, first), (other, second) = server.fork(), server.fork()
    with first, second:
        assert one != other
        assert ask(first, ["echo", 5]) == {"result": 5}
        (pid, parent), (also, _) = ask(first, ["pid"])["result"], ask(second, ["pid"])["result"]
        assert (pid, also) == (one, other)
        assert parent != os.getpid()


def test_a_fault_of_the_task_is_told_and_the_worker_goes_on(server: ForkServer) -> None:
    _, channel = server.fork()
    with channel:
        assert ask(channel, ["raise", "x"]) == {"error": "KeyError: 'x'"}
        assert ask(channel, ["echo", 1]) == {"result": 1}


def test_a_worker_that_is_ended_is_gone_and_others_stay(server: ForkServer) -> None:
    (one, first), (_, second) = server.fork(), server.fork()
    with first, second:
        first.setblocking(True)
        assert os.WTERMSIG(server.end(one)) == signal.SIGKILL
        assert first.recv(1) == b""
        assert ask(second, ["echo", 2]) == {"result": 2}


@pytest.mark.parametrize("act", [lambda server: server.fork(), lambda server: server.end(1)])
def test_a_server_that_has_ended_is_a_clear_error(server: ForkServer, act: Callable[[ForkServer], Any]) -> None:
    server._process.kill()
    with pytest.raises(WorkerError, match="it ended with status -9"):
        act(server)


def test_a_warm_up_that_fails_is_named_by_its_last_line(server: ForkServer) -> None:
    with pytest.raises(WorkerError, match="did not start for worker_tasks:act: KeyError: 'cold'"):
        ForkServer("worker_tasks:act", [["raise", "cold"]], 512)


def test_workers_see_no_credentials_and_one_hash_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("PATH", "/bin")
    seen = _environment()
    assert (seen["PATH"], seen["PYTHONHASHSEED"]) == ("/bin", "0")
    assert "HF_TOKEN" not in seen


def test_a_server_that_is_stopped_is_lost_at_once(server: ForkServer) -> None:
    server._process.send_signal(signal.SIGSTOP)
    with pytest.raises(ServerLost, match="it was stopped by a signal"):
        server.fork()


def test_a_server_that_is_wanted_no_more_is_not_waited_for(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_server, "is_stopped", lambda pid: False)
    server._process.send_signal(signal.SIGSTOP)
    server._wanted = lambda: False
    with pytest.raises(ServerLost, match="it was closed"):
        server.end(1)
