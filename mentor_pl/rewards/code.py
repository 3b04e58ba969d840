"""Code: a response's program (`fences.py`) against unit tests. Off until `allow_execution` is set: it runs the code.

A prompt's metadata holds one of

    tests              one test script, or a list of statements, such as `assert add(1, 2) == 3`
    inputs, outputs    lists of what the program reads and what it must print, as in APPS and TACO

What the limits protect from, and what they do not, is in docs/rewards.md.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal

from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.rewards.fences import program
from mentor_pl.rewards.sandbox.runner import Limits, execute, missing_isolation
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import MAX_SECONDS, check
from mentor_pl.types import Prompt, Response

_log = logging.getLogger(__name__)


class CodeReward(Reward):
    """Whether the code of a response passes its tests. Parts: `outcome`; `timeout`, 1 where its time was up.

    Args:
        allow_execution: must be true: grading runs what the model wrote on this machine.
        isolation: `required`: the system must keep the code from all files but its own folder and the system's
            programs, from the network and from other processes; `best_effort`: as far as it can, with a warning that
            says what is open.
        credit: `all`: 1 where every test passes; `share`: the share of tests passed.
        workers: responses that are run at the same time.
        timeout: seconds of processor time for all tests of one response.
        memory_mb: address space of each process, in MiB.
        file_mb: size of each file that the code may write, in MiB.
        tests: the metadata's field of test statements.
        inputs: the metadata's field of standard inputs.
        outputs: the metadata's field of the outputs that belong to them.

    Raises:
        UsageError: without `allow_execution`, where required isolation cannot be had, or for a limit out of its range;
            when called, a prompt without tests.
    """

    range = (0.0, 1.0)

    def __init__(
        self,
        allow_execution: bool = False,
        credit: Literal["all", "share"] = "all",
        workers: int = 2,
        timeout: float = 10.0,
        memory_mb: int = 512,
        file_mb: int = 8,
        tests: str = "tests",
        inputs: str = "inputs",
        outputs: str = "outputs",
        isolation: Literal["required", "best_effort"] = "required",
    ) -> None:
        if allow_execution is not True:
            raise UsageError(
                "CodeReward runs code that a model wrote: it is kept from this user's files, the network and other "
                "processes, but it shares the machine and its kernel; set allow_execution to true where that is "
                "acceptable, such as in a container without secrets"
            )
        check("CodeReward workers", workers, at_least=1, because="they are the responses run at the same time")
        because = "it is the seconds that one response's tests may take"
        check("CodeReward timeout", timeout, above=0, at_most=MAX_SECONDS, because=because)
        check("CodeReward memory_mb", memory_mb, at_least=64, because="an interpreter itself needs 64 MiB")
        check("CodeReward file_mb", file_mb, at_least=1)
        if isolation not in ("required", "best_effort"):
            raise UsageError(f"CodeReward isolation is {isolation!r}: give required or best_effort")
        if isolation == "required" and (missing := missing_isolation()):
            raise UsageError(
                f"CodeReward: this system does not keep graded code from {' nor from '.join(missing)} (that takes "
                "Linux with Landlock, seccomp and either user namespaces or Landlock 6); set isolation to best_effort "
                "where that is acceptable, such as in a container without secrets"
            )
        self.credit = credit
        self.isolation = isolation
        self.workers = workers
        self.timeout = timeout
        self.limits = Limits(memory_mb, file_mb)
        self.fields = (tests, inputs, outputs)
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None

    def grade(self, prompt: Prompt, response: Response) -> Future[Grade]:
        """Run one response's code in a thread that waits for it."""
        asserts, cases = self._tests(prompt)
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self.workers, "code-reward")
                if missing := missing_isolation():
                    _log.warning("code is run that this system does not keep from %s", " nor from ".join(missing))
            return self._threads.submit(self._run, response.text, asserts, cases)

    def close(self) -> None:
        """End the threads; a later call starts them again."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(cancel_futures=True)

    def _tests(self, prompt: Prompt) -> tuple[list[str], list[tuple[str, str]]]:
        """Test statements, or pairs of input and output."""
        tests, inputs, outputs = (prompt.metadata.get(name) for name in self.fields)
        given, wanted = _strings(inputs), _strings(outputs)
        asserts = _strings([tests] if isinstance(tests, str) else tests)
        asserts = [test for test in asserts if re.sub(r"#.*", "", test).strip()]  # an empty one is passed by any code
        if asserts:
            return asserts, []
        if given and len(given) == len(wanted):
            return [], list(zip(given, wanted, strict=True))
        raise UsageError(
            f"prompt {prompt.index} has no tests: its metadata must hold {self.fields[0]} (statements) or "
            f"{self.fields[1]} and {self.fields[2]} (lists of texts, one output for each input)"
        )

    def _run(self, text: str, asserts: list[str], cases: list[tuple[str, str]]) -> Grade:
        code, required = program(text), self.isolation == "required"
        if code is None:
            return _pass_or_fail(0.0, False)
        if asserts:
            done = execute(code, asserts, "", self.timeout, self.limits, required)
            return self._credited(list(done.passed), len(asserts), done.timeout)
        passed: list[bool] = []
        timed_out, left = False, self.timeout
        for given, wanted in cases:
            done = execute(code, [], given, max(0.0, left), self.limits, required)
            left -= done.seconds
            passed.append(done.finished and _lines(done.output) == _lines(wanted))
            timed_out = done.timeout
            if timed_out or (self.credit == "all" and not passed[-1]):
                break
        return self._credited(passed, len(cases), timed_out)

    def _credited(self, passed: list[bool], total: int, timeout: bool) -> Grade:
        share = sum(passed) / total
        return _pass_or_fail(share if self.credit == "share" else float(share == 1), timeout)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_threads")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._reset()


def _pass_or_fail(outcome: float, timeout: bool) -> Grade:
    return Grade(outcome, {"outcome": outcome, "timeout": float(timeout)})


def _strings(value: Any) -> list[str]:
    """The value if it is a list of texts, else an empty one."""
    listed = isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, str) for one in value)
    return list(value) if listed else []


def _lines(text: str) -> list[str]:
    """Lines without the white space at their ends, and without empty ones at the end."""
    return [line.rstrip() for line in text.rstrip().split("\n")]
