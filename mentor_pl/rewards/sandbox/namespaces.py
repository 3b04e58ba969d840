"""Namespaces of one's own: no network, no other process, nothing outside one folder that could be changed.

They need user namespaces or root's rights, which containers often refuse. Rights that come with them are given up.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from pathlib import Path

_NEW_MOUNT, _NEW_USER, _NEW_NET, _NEW_PID, _NEW_IPC = 0x20000, 0x10000000, 0x40000000, 0x20000000, 0x08000000
_PRIVATE, _NO_SUID, _NO_DEVICES, _NO_EXEC = 0x40000 | 0x4000, 2, 4, 8  # with MS_REC; linux/mount.h
_MOUNT_SETATTR, _AT_RECURSIVE, _HERE, _READ_ONLY = 442, 0x8000, -100, 1
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_CAPSET = {"x86_64": 126, "aarch64": 91}
_FIRST_SPARE_USER = 0x70000000  # no account has so high a number
_FILES = 4096


def enter(folder: str, room_mb: int) -> bool:
    """Enter new namespaces; the next child is the first process of its own. False where the system refuses them.

    Args:
        folder: becomes an empty file system in memory; all others are read-only.
        room_mb: what it can hold.
    """
    libc, user, group = ctypes.CDLL(None), os.geteuid(), os.getegid()
    rest = _NEW_MOUNT | _NEW_NET | _NEW_PID | _NEW_IPC
    unshare = getattr(libc, "unshare", None)
    if unshare is None:
        return False
    if unshare(rest) != 0:
        if unshare(_NEW_USER | rest) != 0:
            return False
        try:
            for name, line in (
                ("setgroups", "deny"),
                ("uid_map", f"{user} {user} 1"),
                ("gid_map", f"{group} {group} 1"),
            ):
                Path(f"/proc/self/{name}").write_text(line, encoding="ascii")
        except OSError:
            return False
    room = f"size={room_mb}m,nr_inodes={_FILES},mode=777".encode()
    if libc.mount(None, b"/", None, _PRIVATE, None) != 0:
        return False
    attributes = struct.pack("=QQQQ", _READ_ONLY, 0, 0, 0)
    if libc.syscall(_MOUNT_SETATTR, _HERE, b"/", _AT_RECURSIVE, attributes, ctypes.c_size_t(32)) != 0:
        return False
    for place in filter(os.path.isdir, (folder, "/dev/shm")):
        if libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", _NO_SUID | _NO_DEVICES, room) != 0:
            return False
    os.chdir(folder)
    return True


def mount_proc() -> None:
    """Let /proc show the own PID namespace, where the system allows it."""
    ctypes.CDLL(None).mount(b"proc", b"/proc", b"proc", _NO_SUID | _NO_DEVICES | _NO_EXEC, None)


def give_up_rights(run: int) -> bool:
    """No capability, none to be had again, and nobody's look into this process's memory. As root, count as a user.

    The kernel does not count root's processes against RLIMIT_NPROC. A real user id of one's own is counted, and files
    are still read as root, by the effective one. (A program that the code starts has the real one for both.)

    Args:
        run: a number that no other run has meanwhile.
    """
    libc = ctypes.CDLL(None)
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):  # an id that the user namespace does not have
            os.setresuid(_FIRST_SPARE_USER + run, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    number = _CAPSET.get(os.uname().machine)
    none = struct.pack("=6I", *[0] * 6)
    rights = number is not None and libc.syscall(number, struct.pack("=Ii", 0x20080522, 0), none) == 0
    return bool(rights) and libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
