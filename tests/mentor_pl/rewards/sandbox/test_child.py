"""The program that runs a response's code, started by hand: what it reads and writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from mentor_pl.rewards.sandbox import child
from mentor_pl.rewards.sandbox.runner import _surroundings


def ran(tmp_path: Path, stdin: str = "", tests: tuple[str, ...] = (), **changes: Any) -> tuple[bytes, float, str, int]:
    """(verdict, seconds, output, status) of one run."""
    request = {"code": "", "tested": bool(tests), "seconds": 20, "memory_mb": 512, "file_mb": 8} | changes
    request |= {"parent": os.getpid(), "required": False, "probe": False, "namespaces": _surroundings()[0]}
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as verdict, tempfile.TemporaryFile() as usage:
        for part in (request, tests):
            body = json.dumps(part).encode()
            asked.write(len(body).to_bytes(4, "big") + body)
        asked.seek(0)
        descriptors = [file.fileno() for file in (asked, verdict, usage)]
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(Path(child.__file__)), *map(str, descriptors)],
            input=stdin.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=descriptors,
            cwd=tmp_path,
            env={},
            check=False,
        )
        verdict.seek(0)
        usage.seek(0)
        return verdict.read(), float(usage.read()), done.stdout.decode(), done.returncode


def test_the_verdict_is_which_tests_passed(tmp_path: Path) -> None:
    verdict, seconds, _, status = ran(tmp_path, code="x = 1", tests=("assert x == 1", "assert x == 2", "x += y"))
    assert verdict == b"[true, false, false]"
    assert status == 0
    assert 0 <= seconds < 10


@pytest.mark.parametrize("code", ["raise ValueError", "import sys; sys.exit(3)", "quit(3)", "x =", "exit('no')"])
def test_code_that_fails_says_so_by_its_status(code: str, tmp_path: Path) -> None:
    verdict, _, _, status = ran(tmp_path, code=code)
    assert verdict == b""
    assert status != 0


def test_a_program_reads_its_input_and_prints(tmp_path: Path) -> None:
    verdict, _, output, status = ran(tmp_path, code="print(input()[::-1], __name__)", stdin="abc\n")
    assert (verdict, output, status) == (b"", "cba __main__\n", 0)
    assert list(tmp_path.iterdir()) == []


ENDS = {
    "exit": "print('out', end='')\nexit()",
    "quit with 0": "print('out', end='')\nquit(0)",
    "os._exit": "import os\nprint('out', end='')\nos._exit(0)",
    "a thread": "import threading\nthreading.Thread(target=lambda: print('out', end='')).start()",
    "atexit": "import atexit\natexit.register(print, 'out', end='')",
}


@pytest.mark.parametrize("end", ENDS)
def test_what_a_program_printed_counts_however_it_ends(end: str, tmp_path: Path) -> None:
    _, _, output, status = ran(tmp_path, code=ENDS[end])
    assert (output, status) == ("out", 0)


def test_limits_bind_the_code(tmp_path: Path) -> None:
    code = (
        "import resource as r\n"
        "kinds = (r.RLIMIT_AS, r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_CORE)\n"
        "print(*(r.getrlimit(kind)[0] for kind in kinds))"
    )
    _, _, output, _ = ran(tmp_path, code=code, seconds=2.5, memory_mb=256, file_mb=1)
    assert output.split() == [str(256 << 20), "4", str(1 << 20), "0"]


def test_processes_are_counted_for_root_too(tmp_path: Path) -> None:
    code = (
        "import os, signal\nnumber = 0\ntry:\n    while number < 100:\n        if os.fork() == 0:\n"
        "            signal.pause()\n        number += 1\nexcept OSError:\n    pass\nprint(number)"
    )
    _, _, output, _ = ran(tmp_path, code=code)
    assert int(output) < child._PROCESSES


def test_the_code_holds_its_input_its_output_and_nothing_else(tmp_path: Path) -> None:
    """So neither the tests' file, nor the verdict's, nor that of the seconds."""
    code = (
        "import os\nopen_ones = []\nfor i in range(256):\n    try:\n        os.fstat(i)\n        open_ones.append(i)\n"
        "    except OSError:\n        pass\nprint(open_ones)"
    )
    assert ran(tmp_path, code=code)[2] == "[0, 1, 2]\n"
