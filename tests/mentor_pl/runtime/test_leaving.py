"""A process leaves with its status although a thread that was given up never ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mentor_pl.runtime.leaving import leave

ROOT = Path(__file__).parents[3]

PROGRAM = """
import atexit, sys, threading
from concurrent.futures import ThreadPoolExecutor
from mentor_pl.runtime.leaving import give_up_threads, leave

atexit.register(print, "last words")
ThreadPoolExecutor(1).submit(threading.Event().wait{within})
{given_up}
sys.exit(leave(3))
"""


@pytest.mark.parametrize(("within", "given_up"), [("", "give_up_threads()"), (", 0.01", "")])
def test_the_process_ends_with_its_status_and_what_was_to_be_done_at_its_end(within: str, given_up: str) -> None:
    """Once with a thread that hangs; once with none given up, whose thread is waited for."""
    program = PROGRAM.format(within=within, given_up=given_up)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (3, "last words\n"), done.stderr


def test_where_no_thread_was_given_up_nothing_happens() -> None:
    assert leave(2) == 2
