"""When an item's time is up: by the processor time that it took. The clock is a last resort.

By the clock a busy machine makes everything slow, right answers too, and grades would depend on its load.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

LAST_RESORT = 120.0  # seconds by the clock, beyond an item's limit, that one may wait without taking processor time


def time_left(limit: float, spent: float, waited: float) -> float:
    """Seconds for which there is no need to look again; 0 or less where the time is up.

    Args:
        limit: seconds of processor time that the item may take.
        spent: seconds of processor time that it took; infinity, or a difference of two, where the system does not tell.
        waited: seconds by the clock since it began. Look first when `limit` of them have passed.
    """
    return min(limit - spent, limit + LAST_RESORT - waited) if spent < limit else 0.0


def processor_seconds(pid: int) -> float:
    """User and system seconds of a process; infinity where the system does not tell."""
    try:
        user, system = map(int, _stat(Path(f"/proc/{pid}/stat"))[11:13])
    except (OSError, ValueError):
        return math.inf
    return (user + system) / os.sysconf("SC_CLK_TCK")


def session_seconds(session: int) -> float:
    """User and system seconds of a session's processes and of their ended children; infinity as above."""
    ticks, found = 0, False
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
            fields = _stat(path)
            if int(fields[3]) == session:
                ticks, found = ticks + sum(map(int, fields[11:15])), True
    return ticks / os.sysconf("SC_CLK_TCK") if found else math.inf


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped a process, which can then do nothing until it is told to; False where unknown."""
    try:
        return _stat(Path(f"/proc/{pid}/stat"))[0] == b"T"
    except (OSError, IndexError):
        return False


def _stat(path: Path) -> list[bytes]:
    """What stands behind a process's name in /proc, its state first: fields 3 and on of proc_pid_stat(5)."""
    return path.read_bytes().rpartition(b")")[2].split()
