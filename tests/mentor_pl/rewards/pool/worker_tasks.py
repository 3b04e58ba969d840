"""Tasks that the pool's tests run in workers. The parent never imports this file."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from typing import Any


def act(item: list[Any]) -> Any:
    """Do what the item's first word says."""
    word, *rest = item
    if word == "echo":
        return rest[0]
    if word == "spin":
        while True:
            pass
    if word == "wait":  # uses no processor time
        signal.pause()
    if word == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if word == "stop once":  # the file says whether it has been
        if not os.path.exists(rest[0]):
            os.mkdir(rest[0])
            os.kill(os.getpid(), signal.SIGSTOP)
        return rest[0]
    if word == "garbage":  # in place of an answer, into every socket that is open
        for handle in range(3, 64):
            with contextlib.suppress(OSError):
                socket.socket(fileno=os.dup(handle)).send(b"\x00\x00\x00\x02{]")
        signal.pause()
    if word == "die":
        os._exit(3)
    if word == "memory":
        return len(bytearray(rest[0] << 20))
    if word == "write":
        with open(rest[0], "w") as file:
            file.write("x")
    if word == "raise":
        raise KeyError(rest[0])
    if word == "modules":
        return sorted({"torch", "lightning", "numpy"} & set(sys.modules))
    if word == "environment":
        return dict(os.environ)
    if word == "pid":
        return [os.getpid(), os.getppid()]
    return None
