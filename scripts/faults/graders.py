"""Grading under attack: processes killed, stopped and refused, and rewards that fail; 200 answers, then whole runs.

python scripts/faults/graders.py
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faults.grader_runs import run_cases
from faults.processes import fork_servers, kill, workers
from faults.report import Outcome, finish

from mentor_pl.rewards.base import Grades, Grading
from mentor_pl.rewards.grades import NotGraded
from mentor_pl.rewards.math import MathReward
from mentor_pl.types import Prompt, Response

ANSWERS = 200
BLOCK = 20  # answers handed over between two strikes
SECONDS = 300  # after which an answer counts as lost
PROMPTS = [Prompt(i, "", f"{i}x^2 + 2x", ()) for i in range(ANSWERS)]
RESPONSES = [Response(rf"\boxed{{2x + {i if i % 3 else i + 1}x^2}}") for i in range(ANSWERS)]  # one in three is wrong
CHANCE = random.Random(5)

Strike = Callable[[int], None]  # told the number of the block that has just been handed over


def cases() -> Iterator[Outcome]:
    """Everything that is tried on graders; each yields as soon as it is through."""
    undisturbed, _ = _graded(lambda block: None)
    for what, strike in STRIKES.items():
        grades, seconds = _graded(strike)
        lost, other = _compared(grades, undisturbed)
        seen = f"{lost} lost, {other} graded otherwise, {seconds:.0f} s"
        yield Outcome(f"{what}, {ANSWERS} answers", "every grade as undisturbed", seen, not lost and not other)
    yield _never_forked()
    yield _closed()
    with tempfile.TemporaryDirectory() as folder:
        yield from run_cases(Path(folder))


def _graded(strike: Strike) -> tuple[Grades | Exception, float]:
    """Grades of all answers, with a strike after each block of them, and the seconds they took."""
    reward, started = MathReward(workers=2), time.monotonic()
    try:
        reward(PROMPTS[:4], RESPONSES[:4])  # the processes are there
        futures = []
        for block in range(ANSWERS // BLOCK):
            places = range(block * BLOCK, (block + 1) * BLOCK)
            futures += [reward.submit(PROMPTS[place], RESPONSES[place]) for place in places]
            strike(block)
        return reward.gather(PROMPTS, futures, Grading(SECONDS, "mask")), time.monotonic() - started
    except Exception as error:
        return error, time.monotonic() - started
    finally:
        reward.end()


def _compared(grades: Grades | Exception, undisturbed: Grades | Exception) -> tuple[int, int]:
    """Answers without a verdict, and those with another one."""
    if not isinstance(grades, Grades) or not isinstance(undisturbed, Grades):
        return ANSWERS, ANSWERS
    differing = sum(one != other for one, other in zip(grades.total, undisturbed.total, strict=True))
    return grades.without_verdict, differing


def _server_killed_once(block: int) -> None:
    if block == ANSWERS // BLOCK // 2:
        kill(fork_servers(os.getpid()), signal.SIGKILL)


def _server_killed(block: int) -> None:
    kill(fork_servers(os.getpid()), signal.SIGKILL)


def _server_stopped(block: int) -> None:
    """Its workers are killed as well: what is stopped is asked for others."""
    servers = fork_servers(os.getpid())
    if block % 3 == 0:
        kill(servers, signal.SIGSTOP)
        kill(workers(servers), signal.SIGKILL)


def _workers_struck(block: int) -> None:
    for pid in workers(fork_servers(os.getpid())):
        kill([pid], CHANCE.choice([signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGSEGV]))


def _all_killed(block: int) -> None:
    servers = fork_servers(os.getpid())
    kill([*servers, *workers(servers)], signal.SIGKILL)


def _forks_refused(block: int) -> None:
    """The fork server may open no further file, so it can fork no worker; later it may."""
    servers = fork_servers(os.getpid())
    for pid in servers:
        limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        soft = 3 if block % 4 == 0 else limit[1]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, limit[1]))
    kill(workers(servers), signal.SIGKILL)


STRIKES: dict[str, Strike] = {
    "fork server killed once": _server_killed_once,
    f"fork server killed {ANSWERS // BLOCK} times": _server_killed,
    "fork server stopped (SIGSTOP), its workers killed": _server_stopped,
    "workers killed and stopped at random": _workers_struck,
    "fork server and workers killed at once, time and again": _all_killed,
    "forks refused for a while, workers killed": _forks_refused,
}


def _never_forked() -> Outcome:
    """Forks are refused for good: a failure of every answer, which is counted, and no hang."""
    reward, started = MathReward(workers=2), time.monotonic()
    reward(PROMPTS[:4], RESPONSES[:4])
    servers = fork_servers(os.getpid())
    for pid in servers:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 3))
    kill(workers(servers), signal.SIGKILL)
    futures = [reward.submit(prompt, response) for prompt, response in zip(PROMPTS, RESPONSES, strict=True)]
    lines = set()
    for future in futures:
        try:
            future.result(SECONDS)
        except NotGraded as error:
            lines.add(str(error).partition("problem")[2].partition(": ")[2])
        except Exception as error:
            lines.add(f"{type(error).__name__}: {error}")
    reward.end()
    case, expected = f"forks refused for good, {ANSWERS} answers", "every answer a failure, in one line"
    passed = len(lines) == 1 and "Too many open files" in next(iter(lines)) and "\n" not in next(iter(lines))
    return Outcome(case, expected, f"{'; '.join(lines)}; {time.monotonic() - started:.0f} s", passed)


def _closed() -> Outcome:
    """The pool is closed while its fork server is stopped and all answers wait."""
    reward = MathReward(workers=2)
    reward(PROMPTS[:4], RESPONSES[:4])
    servers = fork_servers(os.getpid())
    kill(servers, signal.SIGSTOP)
    kill(workers(servers), signal.SIGKILL)
    futures = [reward.submit(prompt, response) for prompt, response in zip(PROMPTS, RESPONSES, strict=True)]
    started = time.monotonic()
    reward.close()
    seconds, open_ = time.monotonic() - started, sum(not future.done() for future in futures)
    left = len(fork_servers(os.getpid()))
    case, expected = "closed while the fork server is stopped", "all answers resolved, no process left, within 5 s"
    seen = f"{open_} open, {left} processes, {seconds:.1f} s"
    return Outcome(case, expected, seen, open_ == left == 0 and seconds < 5)


if __name__ == "__main__":
    sys.exit(finish("Grading", cases()))
