"""Graded code that reaches for what is not its own. Each case prints what it got; the trainer's secrets must not be there."""

# ruff: noqa: E501  (a program is one line)

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from faults.report import Outcome

from mentor_pl.rewards.sandbox.runner import Execution, Limits, execute, missing_isolation

SECONDS = 5.0
_ATTEMPT = """
import os, socket, sys
def attempt(reach):
    try:
        print(reach())
    except BaseException as refusal:
        print(type(refusal).__name__, refusal)
def read(path):
    with open(path, "rb") as file:
        return file.read(1 << 20)
"""

# what is reached for -> the code. {…} are places that `World` knows.
REACHES = {
    "its own environment through /proc": "attempt(lambda: read('/proc/self/environ'))\nattempt(lambda: dict(os.environ))",
    "its parent's environment through /proc": "attempt(lambda: read(f'/proc/{{os.getppid()}}/environ'))",
    "every process's environment": "for i in range(1, 1 << 17):\n    try:\n        print(read(f'/proc/{{i}}/environ'))\n    except OSError:\n        pass",
    "every process's command line": "for i in range(1, 1 << 17):\n    try:\n        print(read(f'/proc/{{i}}/cmdline'))\n    except OSError:\n        pass",
    "a list of the processes": "attempt(lambda: read(f'/proc/{pid}/cmdline'))\nattempt(lambda: __import__('subprocess').run(['ps', 'axeww'], capture_output=True).stdout)",
    "the trainer's memory": "maps = read('/proc/{pid}/maps')\nstart = int(maps.split(b'-')[0], 16)\nwith open('/proc/{pid}/mem', 'rb') as memory:\n    memory.seek(start)\n    print('{secret}', memory.read(16))",
    "the trainer's descriptors": "attempt(lambda: ('{secret}', os.listdir('/proc/{pid}/fd')))\nfor i in range(3, 64):\n    try:\n        print(os.pread(i, 1 << 16, 0))\n    except OSError:\n        pass",
    "the trainer by tracing it": "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nprint('SEIZED {secret}' if libc.ptrace(0x4206, {pid}, 0, 0) == 0 else 'refused')",
    "a file of the user": "attempt(lambda: read('{file}'))\nattempt(lambda: os.listdir('{folder}'))\nattempt(lambda: read(os.path.relpath('{file}')))",
    "a file by a link": "os.symlink('{file}', 'link')\nattempt(lambda: read('link'))\nattempt(lambda: os.link('{file}', 'hard'))\nattempt(lambda: read('hard'))",
    "a file by another program": "attempt(lambda: __import__('subprocess').run(['/bin/cat', '{file}'], capture_output=True).stdout)",
    "the user's home": "attempt(lambda: ('{secret}', os.listdir('{home}')))",
    "accounts, the kernel's log, its settings": "for path in ('/etc/shadow', '/etc/passwd', '/dev/kmsg', '/sys/kernel/notes', '/proc/kallsyms', '/proc/net/unix'):\n    try:\n        print(path, '{secret}', os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 20))\n    except OSError:\n        pass",
    "a Unix socket by its path": "s = socket.socket(socket.AF_UNIX)\ns.connect('{unix}')\nprint(s.recv(100))",
    "an abstract Unix socket": "s = socket.socket(socket.AF_UNIX)\ns.connect('\\x00{abstract}')\nprint(s.recv(100))",
    "a server on this machine": "s = socket.create_connection(('127.0.0.1', {port}), 2)\nprint(s.recv(100))",
    "the network by UDP": "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.sendto(b'x', ('127.0.0.1', {port}))\nprint('SENT {secret}')",
    "the host by a virtual socket": "s = socket.socket(40, socket.SOCK_STREAM)\nprint('OPENED {secret}')",
    "a namespace of its own": "import ctypes\nlibc = ctypes.CDLL(None)\nprint('ENTERED {secret}' if libc.unshare(0x10000000) == 0 else 'refused')",
    "what others do with their files": "import ctypes\nlibc = ctypes.CDLL(None)\nwatch = libc.inotify_init1(0)\nprint('WATCHING {secret}' if libc.inotify_add_watch(watch, b'{folder}', 0xFFF) >= 0 else 'refused')",
    "root's rights": "attempt(lambda: os.setuid(0))\nattempt(lambda: os.setresuid(0, 0, 0))\nattempt(lambda: os.chroot('/'))\nattempt(lambda: print('MADE {secret}') if os.mknod('n', 0o60644, os.makedev(254, 0)) is None else 0)",
}

# what is changed -> the code; none of them may leave a trace outside
HARMS = {
    "writes to a file of the user": "attempt(lambda: open('{file}', 'a').write('x'))\nattempt(lambda: os.truncate('{file}', 0))",
    "removes, renames and replaces it": "attempt(lambda: os.remove('{file}'))\nattempt(lambda: os.rename('{file}', 'mine'))\nattempt(lambda: open('new', 'w') and os.rename('new', '{file}'))",
    "changes its mode, owner and times": "attempt(lambda: os.chmod('{file}', 0o777))\nattempt(lambda: os.chown('{file}', 1, 1))\nattempt(lambda: os.utime('{file}', (0, 0)))",
    "makes a file beside it": "attempt(lambda: open('{folder}/new', 'w'))\nattempt(lambda: os.mkdir('{folder}/made'))\nattempt(lambda: os.symlink('x', '{folder}/link'))",
    "kills the trainer and its parent": "for number in ({pid}, os.getppid(), -1):\n    attempt(lambda: os.kill(number, 15))",
    "stops and limits the trainer": "import resource\nattempt(lambda: os.kill({pid}, 19))\nattempt(lambda: resource.prlimit({pid}, resource.RLIMIT_NOFILE, (3, 3)))",
    "leaves a process behind": "import time\nif os.fork() == 0:\n    attempt(os.setsid)\n    if os.fork() == 0:\n        os.execv('/bin/sleep', ['{mark}', '300'])",
}

BOMBS = {
    "fork bomb": (
        "while True:\n    try:\n        os.fork()\n    except OSError:\n        break\nwhile True: pass",
        "is ended",
    ),
    "memory bomb": ("x = []\nwhile True:\n    x.append(bytearray(1 << 24))", "is ended"),
    "disk filling by one file": (
        "with open('x', 'wb') as f:\n    while True:\n        f.write(bytes(1 << 20))",
        "is ended",
    ),
    "disk filling by many": (
        "for i in range(1000):\n    with open(str(i), 'wb') as f:\n        f.write(bytes(4 << 20))",
        "is ended",
    ),
    "an endless loop with handlers": (
        "import signal\nfor n in range(1, 65):\n    try:\n        signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError):\n        pass\nwhile True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "is ended",
    ),
    "output without end": ("while True: print('x' * 100000)", "is ended"),
}


@dataclass(frozen=True)
class World:
    """What the trainer has that nobody else should: each reads as the secret."""

    secret: str
    places: dict[str, str]
    file: Path

    def untouched(self) -> bool:
        """Whether file and folder are as they were."""
        names = sorted(path.name for path in self.file.parent.iterdir())
        state = self.file.stat()
        return (
            names == ["secret", "unix"]
            and self.file.read_text() == self.secret
            and state.st_mtime > 1e9
            and (state.st_mode & 0o777 == 0o600 and state.st_uid == os.getuid())
        )


@contextlib.contextmanager
def world() -> Iterator[World]:
    """A secret in the environment, in a file, behind sockets, and in the command line of a child."""
    secret = f"secret-{secrets.token_hex(8)}"
    os.environ["MENTOR_FAULTS_SECRET"] = secret
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as closing:
        file = Path(folder, "secret")
        file.write_text(secret)
        file.chmod(0o600)
        abstract = secrets.token_hex(8)
        servers = [_server(socket.AF_UNIX, f"{folder}/unix", secret), _server(socket.AF_UNIX, f"\0{abstract}", secret)]
        servers.append(_server(socket.AF_INET, ("127.0.0.1", 0), secret))
        for server in servers:
            closing.callback(server.close)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", secret])
        closing.callback(child.wait)
        closing.callback(child.kill)
        places = {
            "secret": secret, "file": str(file), "folder": folder, "pid": str(os.getpid()), "home": str(Path.home()),
            "unix": f"{folder}/unix", "abstract": abstract, "port": str(servers[2].getsockname()[1]),
            "mark": f"mentor-{secrets.token_hex(8)}",
        }  # fmt: skip
        yield World(secret, places, file)
    del os.environ["MENTOR_FAULTS_SECRET"]


def _server(family: int, address: object, secret: str) -> socket.socket:
    server = socket.socket(family)
    server.bind(address)
    server.listen()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection, contextlib.suppress(OSError):
                    connection.sendall(secret.encode())

    threading.Thread(target=serve, daemon=True).start()
    return server


def outcomes() -> Iterator[Outcome]:
    """Every case of graded code."""
    missing = missing_isolation()
    yield Outcome("isolation of this machine", "nothing missing", ", ".join(missing) or "nothing missing", not missing)
    with world() as given:
        for what, code in REACHES.items():
            leaked = given.secret in _ran(code, given).output
            yield Outcome(f"code reaches for {what}", "gets nothing", "got it" if leaked else "nothing", not leaked)
        for what, code in HARMS.items():
            _ran(code, given)
            whole = given.untouched() and not _running(given.places["mark"])
            yield Outcome(f"code {what}", "nothing changes", "unchanged" if whole else "changed", whole)
        for what, (code, bar) in BOMBS.items():
            done = _ran(code, given)
            ended = not done.finished and given.untouched()
            seen = "by its time" if done.timeout else "by a limit"
            yield Outcome(what, bar, f"ended {seen}, {done.seconds:.1f} s" if ended else "finished", ended)


def _ran(code: str, given: World) -> Execution:
    for name, value in given.places.items():
        code = code.replace("{" + name + "}", value)
    code = code.replace("{{", "{").replace("}}", "}")
    return execute(_ATTEMPT + code, [], "", SECONDS, Limits(), required=False)


def _running(mark: str) -> bool:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes())
    return any(mark.encode() in line for line in lines)
