"""A seccomp filter: system calls that graded code has no use for, and that reach beyond it, fail with EPERM."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

# name -> its number on x86_64 and on aarch64, where it has one (linux/unistd.h)
_Calls = dict[str, tuple[int | None, int | None]]
_ALWAYS: _Calls = {
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "setpriority": (141, 140),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274), "migrate_pages": (256, 238), "move_pages": (279, 239), "ioprio_set": (251, 30),
    "shmget": (29, 194), "shmat": (30, 196), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    # leaving the session, whose processor time is counted and which is killed as a whole; or the user
    "setsid": (112, 157), "setpgid": (109, 154), "setuid": (105, 146), "setreuid": (113, 145), "setresuid": (117, 147),
    # the kernel
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "syslog": (103, 116),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    # what others do with their files
    "inotify_init": (253, None), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
}  # fmt: skip
_BY_NAME: _Calls = {  # which change files by their names: Landlock does not look at them
    "truncate": (76, 45), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None),
    "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466), "file_setattr": (469, 469),
}  # fmt: skip
_BY_ARGUMENT: _Calls = {"socket": (41, 198), "clone": (56, 220), "clone3": (435, 435), "prlimit64": (302, 261)}
_NUMBERS: _Calls = _ALWAYS | _BY_NAME | _BY_ARGUMENT
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # linux/audit.h
_INTERNET = (2, 10, 16)  # AF_INET, AF_INET6, AF_NETLINK
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEW*
_X32 = 0x40000000
_LOAD, _EQUAL, _ABOVE, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # linux/bpf_common.h
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16  # struct seccomp_data
_PR_SET_SECCOMP, _FILTER = 22, 2


def restrict(in_namespaces: bool) -> bool:
    """Install the filter; `in_namespaces`: the network is one's own, and no file outside the folder can be changed."""
    if in_namespaces:
        return refuse(_ALWAYS | _BY_ARGUMENT, _INTERNET)
    return refuse(_NUMBERS)


def refuse(names: Iterable[str], families: tuple[int, ...] = ()) -> bool:
    """Let these system calls fail from here on; of `socket` those of other families, of `prlimit64` other processes."""
    machine = os.uname().machine
    if machine not in _MACHINES:
        return False
    column, audit = _MACHINES[machine]
    names = list(names)
    plain = [_NUMBERS[name][column] for name in names if name not in _BY_ARGUMENT]
    parts = [
        _step(_LOAD, _MACHINE), _step(_EQUAL, audit, 1, 0), _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER), _step(_ABOVE, _X32, 0, 1), _step(_RETURN, _REFUSE | errno.EPERM),
        *(_step(_EQUAL, one, 0, 1) + _step(_RETURN, _REFUSE | errno.EPERM) for one in plain if one is not None),
    ]  # fmt: skip
    if "clone3" in names:  # its flags lie in memory, which no filter sees; libraries then fall back to clone
        parts.append(_step(_EQUAL, _NUMBERS["clone3"][column] or 0, 0, 1) + _step(_RETURN, _REFUSE | errno.ENOSYS))
    if "prlimit64" in names:
        parts.append(_argument(_NUMBERS["prlimit64"][column], [_step(_EQUAL, 0, 1, 0)]))
    if "clone" in names:
        parts.append(_argument(_NUMBERS["clone"][column], [_step(_BITS, _NEW_NAMESPACES, 0, 1)]))
    if "socket" in names:
        allowed = [_step(_EQUAL, family, len(families) - place, 0) for place, family in enumerate(families)]
        parts.append(_argument(_NUMBERS["socket"][column], allowed))
    program = b"".join(parts) + _step(_RETURN, _ALLOW)
    held = ctypes.create_string_buffer(program)
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(held))
    return int(ctypes.CDLL(None).prctl(_PR_SET_SECCOMP, _FILTER, head, 0, 0)) == 0


def _argument(number: int | None, tests: list[bytes]) -> bytes:
    """Where the call is `number`, `tests` of its first argument jump over the refusal that follows them."""
    body = _step(_LOAD, _FIRST_ARGUMENT) + b"".join(tests) + _step(_RETURN, _REFUSE | errno.EPERM)
    body += _step(_RETURN, _ALLOW)
    return _step(_EQUAL, number or 0, 0, len(body) // 8) + body


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """One instruction; `then` and `otherwise` are how many it jumps over."""
    return struct.pack("=HBBI", code, then, otherwise, value)
