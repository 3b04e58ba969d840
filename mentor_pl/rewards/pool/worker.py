"""The process side of the worker pool: one fork_server imports the task once and forks a fresh worker on request.

The fork_server is started by `pool.py` with a control socket. It imports the task, runs the warm-up items, reports
that it is ready and then obeys two requests, one at a time:

    {"fork": true}  -> {"pid": n}, with the worker's socket attached, or {"refused": line} where the system forks none
    {"end": pid}    -> {"status": wait status}, after SIGKILL and wait

A worker answers frames `item` with `{"result": value}` or `{"error": line}`. Forking from a warm process makes a
replacement cost milliseconds instead of the seconds that importing a computer algebra system takes, and gives every
replacement the same state. Nothing here may import torch: the standard library and the task, no more.

A frame is a 4-byte big-endian length and UTF-8 JSON; JSON and not pickle, so a worker that has been taken over cannot
run code in the parent.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

FRAME_HEADER = 4
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def encode(value: Any) -> bytes:
    """`value` as one frame."""
    body = json.dumps(value).encode()
    return len(body).to_bytes(FRAME_HEADER, "big") + body


def receive(channel: socket.socket) -> Any:
    """The next frame's value from a blocking socket; `EOFError` where the other end is gone."""
    size = int.from_bytes(_receive_exactly(channel, FRAME_HEADER), "big")
    return json.loads(_receive_exactly(channel, size))


def _receive_exactly(channel: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = channel.recv(min(size - len(data), 1 << 20))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)


def resolve(path: str) -> Callable[[Any], Any]:
    """The function that `module:name` names."""
    module, _, name = path.partition(":")
    task: Callable[[Any], Any] = getattr(importlib.import_module(module), name)
    return task


def fork_server(control_fd: int) -> None:
    """Serve the pool on the control socket until it closes."""
    control = socket.socket(fileno=control_fd)
    settings = receive(control)
    _die_with(settings["parent"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    task = resolve(settings["task"])
    for item in settings["warmup"]:
        task(item)
    gc.freeze()  # keeps the collector from copying shared pages in every worker
    control.sendall(encode({"ready": True}))
    _silence()
    try:
        while True:
            request = receive(control)
            if "fork" in request:
                _fork(control, task, settings["memory_mb"])
            else:
                control.sendall(encode({"status": _end(request["end"])}))
    except (EOFError, OSError):
        os._exit(0)  # the parent is gone; the workers follow by their own death signal or end of file


def _fork(control: socket.socket, task: Callable[[Any], Any], memory_mb: int) -> None:
    """Fork one worker and hand its socket to the parent."""
    fork_server_pid = os.getpid()
    ends: list[socket.socket] = []
    try:
        ends += socket.socketpair()
        pid = os.fork()
    except OSError as error:  # too many processes or files, too little memory: it may pass
        for end in ends:
            end.close()
        control.sendall(encode({"refused": error.strerror or str(error)}))
        return
    theirs, ours = ends
    if pid == 0:
        try:
            control.close()
            theirs.close()
            _die_with(fork_server_pid)
            _limit(memory_mb)
            _serve(ours, task)
        finally:
            os._exit(1)
    ours.close()
    socket.send_fds(control, [encode({"pid": pid})], [theirs.fileno()])
    theirs.close()


def _end(pid: int) -> int:
    """Kill the child `pid` and return its wait status. Only an unreaped child is signalled, so no other process is."""
    os.kill(pid, signal.SIGKILL)  # a stopped one too
    return os.waitpid(pid, 0)[1]


def _serve(channel: socket.socket, task: Callable[[Any], Any]) -> None:
    """Answer items until the channel closes. A worker out of memory ends at once: its state is not to be trusted."""
    while True:
        try:
            item = receive(channel)
        except (EOFError, OSError):
            os._exit(0)
        try:
            answer = encode({"result": task(item)})
        except MemoryError:
            os._exit(1)
        except Exception as error:  # a fault of the task itself, not of its item: the parent raises it
            answer = encode({"error": f"{type(error).__name__}: {str(error)[:500]}"})
        channel.sendall(answer)


def _limit(memory_mb: int) -> None:
    """Bound address space; no core dumps, no file writes."""
    for kind, amount in (
        (resource.RLIMIT_AS, memory_mb << 20),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS refuses RLIMIT_AS; the deadline still holds there
            resource.setrlimit(kind, (amount, amount))


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this process when `parent` dies (Linux). Elsewhere the closed socket ends it when idle."""
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the request took hold
        os._exit(1)


def _silence() -> None:
    """Drop what parsers print about malformed input."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)
