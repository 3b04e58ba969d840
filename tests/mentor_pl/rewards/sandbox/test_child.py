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

NONCE = b"n" * 64


def ran(tmp_path: Path, **request: Any) -> tuple[bytes, float, str, int]:
    """(verdict, seconds, output, status) of one run."""
    whole = {"code": "", "tests": [], "stdin": "", "seconds": 20, "memory_mb": 512, "file_mb": 8} | request
    body = json.dumps(whole | {"parent": os.getpid()}).encode()
    with tempfile.TemporaryFile() as verdict, tempfile.TemporaryFile() as usage:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(Path(child.__file__)), str(verdict.fileno()), str(usage.fileno())],
            input=len(body).to_bytes(4, "big") + body + NONCE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[verdict.fileno(), usage.fileno()],
            cwd=tmp_path,
            env={},
            check=False,
        )
        verdict.seek(0)
        usage.seek(0)
        return verdict.read(), float(usage.read()), done.stdout.decode(), done.returncode


def test_the_verdict_is_the_nonce_and_which_tests_passed(tmp_path: Path) -> None:
    verdict, seconds, _, status = ran(tmp_path, code="x = 1", tests=["assert x == 1", "assert x == 2", "x += y"])
    assert verdict == NONCE + b"[true, false, false]"
    assert status == 0
    assert 0 <= seconds < 10


@pytest.mark.parametrize("code", ["raise ValueError", "import sys; sys.exit(3)", "x ="])
def test_code_that_does_not_get_to_its_end_has_no_verdict(code: str, tmp_path: Path) -> None:
    verdict, _, _, status = ran(tmp_path, code=code)
    assert (verdict, status) == (b"", 1)


def test_a_program_reads_its_input_and_prints(tmp_path: Path) -> None:
    verdict, _, output, _ = ran(tmp_path, code="print(input()[::-1], __name__)", stdin="abc\n")
    assert (verdict, output) == (NONCE + b"[]", "cba __main__\n")
    assert list(tmp_path.iterdir()) == []  # the file of the input is gone


def test_limits_bind_the_code(tmp_path: Path) -> None:
    code = (
        "import resource as r\n"
        "kinds = (r.RLIMIT_AS, r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_CORE)\n"
        "print(*(r.getrlimit(kind)[0] for kind in kinds))"
    )
    _, _, output, _ = ran(tmp_path, code=code, seconds=2.5, memory_mb=256, file_mb=1)
    assert output.split() == [str(256 << 20), "3", str(1 << 20), "0"]


def test_the_code_cannot_say_how_long_it_took(tmp_path: Path) -> None:
    """The file of the seconds is closed before it runs, whatever descriptors it writes to."""
    code = "import os\nfor i in range(3, 64):\n    try:\n        os.write(i, b'9')\n    except OSError:\n        pass\n"
    _, seconds, _, _ = ran(tmp_path, code=code)
    assert seconds < 9
