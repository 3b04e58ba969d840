"""The grading processes of a run, found in /proc, and signals to them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path


def fork_servers(parent: int) -> list[int]:
    """Fork servers among the children of `parent`."""
    return [pid for pid in children(parent) if b"fork_server" in _read(pid, "cmdline")]


def workers(servers: Iterable[int]) -> list[int]:
    """Living workers of these fork servers."""
    return [pid for server in servers for pid in children(server)]


def children(parent: int) -> list[int]:
    """Process ids whose parent it is, without those that have ended."""
    stats = {int(path.name): _read(int(path.name), "stat") for path in Path("/proc").glob("[0-9]*")}
    fields = {pid: stat.rpartition(b")")[2].split() for pid, stat in stats.items() if stat}
    return [pid for pid, (state, ppid, *_) in fields.items() if int(ppid) == parent and state != b"Z"]


def kill(pids: Iterable[int], signum: int) -> int:
    """Send a signal to each that is still there; how many."""
    sent = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)
            sent += 1
    return sent


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
