"""When time is up: by processor time, and by the clock only in the end."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mentor_pl.rewards.deadline import LAST_RESORT, processor_seconds, session_seconds, time_left


@pytest.mark.parametrize(
    ("spent", "waited", "left"),
    [
        (0.25, 1.0, 0.75),
        (0.25, 60.0, 0.75),  # a busy machine: what counts is what it was given
        (1.0, 1.0, 0.0),
        (0.0, 1.0 + LAST_RESORT, 0.0),
        (0.5, LAST_RESORT + 0.75, 0.25),
        (math.inf, 1.0, 0.0),  # where the system does not tell, the limit is the clock's
        (math.inf - math.inf, 1.0, 0.0),
    ],
)
def test_an_item_has_its_processor_time_whatever_the_clock_says(spent: float, waited: float, left: float) -> None:
    assert time_left(1.0, spent, waited) == pytest.approx(left)


def test_the_clock_is_wide() -> None:
    assert LAST_RESORT >= 60


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
def test_processor_time_is_that_of_a_process_or_of_a_whole_session() -> None:
    told = processor_seconds(os.getpid())
    assert told == pytest.approx(sum(os.times()[:2]), abs=0.1)
    code = "import os, sys\nif os.fork() == 0:\n    while sum(os.times()[:2]) < 0.2: pass\n    os._exit(0)\n"
    code += "os.wait()\nprint(flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert session_seconds(process.pid) >= 0.19  # its ended child's
        assert session_seconds(process.pid) >= processor_seconds(process.pid) + 0.19


def test_a_process_that_is_not_there_has_no_known_time() -> None:
    assert processor_seconds(2**30) == session_seconds(2**30) == math.inf
