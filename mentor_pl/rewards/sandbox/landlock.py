"""Landlock (Linux 5.13): a process gives up all files but those it names, without any privilege, and for good.

It also keeps the process, and what it starts, from tracing processes outside (so from their environment and memory in
/proc), and from Linux 6.12 on from signalling them and from their abstract Unix sockets. Being restricted twice makes
an inner domain, which can do none of this to the outer one.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the numbers of the system calls are the same on every machine
_VERSION, _PATH_BENEATH = 1, 1
# linux/landlock.h: rights by the version that brought them
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_FILES = {1: (1 << 13) - 1, 2: 1 << 13, 3: _TRUNCATE, 5: _IOCTL}
_TCP = {4: 3}
_SCOPES = {6: 3}
SIGNALS = 6  # the version that keeps signals inside

_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime")


def version() -> int:
    """Landlock's version here; 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, int(_libc().syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)))


def restrict(writable: Iterable[str], readable: Iterable[str] = ()) -> bool:
    """Keep this process to the system's programs and libraries, this Python's, and what is below `writable`, or to be
    read below `readable`."""
    libc, abi = _libc(), version()
    if not abi:
        return False
    files, tcp, scopes = (sum(one for since, one in kind.items() if since <= abi) for kind in (_FILES, _TCP, _SCOPES))
    ruleset = libc.syscall(_CREATE, struct.pack("=QQQ", files, tcp, scopes), ctypes.c_size_t(24), 0)
    if ruleset < 0:
        return False
    read = _EXECUTE | _READ_FILE | _READ_DIR
    own = [os.path.join(sys.base_prefix, part) for part in ("bin", "lib", "lib64")]
    rules = [(path, read) for path in (*_SYSTEM, *own, sys.prefix + "/bin", *readable)]
    rules += [(path, _READ_FILE | _WRITE_FILE | _TRUNCATE) for path in _DEVICES]
    rules += [(path, files & ~_IOCTL) for path in writable]
    for path, rights in rules:
        try:
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # not every system has it
        allowed = rights & files & (-1 if os.path.isdir(path) else _OF_FILES)
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", allowed, handle), 0)
        os.close(handle)
    done = bool(libc.syscall(_RESTRICT, ruleset, 0) == 0)
    os.close(ruleset)
    return done


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
