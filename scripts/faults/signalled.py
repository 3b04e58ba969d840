"""Runs that are asked to stop by SIGTERM or SIGINT, and gone on with by the same command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from faults.report import Outcome
from faults.runs import SmallRun, difference

SECONDS = 10  # from the signal to the end
STATUS = {"SIGTERM": 143, "SIGINT": 130}
# the moment, the signal; with @2 the run is of two processes
CASES = (
    *("loading:1 SIGTERM", "sampling:5 SIGINT", "sampling:120 SIGTERM", "sampling:310 SIGINT", "updating:7 SIGTERM"),
    *("grading:70 SIGINT", "validating:3 SIGTERM", "validating:50 SIGINT", "writing:50 SIGTERM", "metrics:2 SIGINT"),
    *("sampling:110 SIGTERM@2", "sampling:210 SIGINT@2", "validating:25 SIGTERM@2", "updating:5 SIGINT@2"),
)


def cases(folder: Path, whole: SmallRun, two: SmallRun) -> Iterator[Outcome]:
    """Signals at moments of a run's own.

    Args:
        folder: to work in.
        whole, two: undisturbed runs, on one process and on two.
    """
    for number, case in enumerate(CASES):
        moment, name = case.removesuffix("@2").split()
        like = two if case.endswith("@2") else whole
        run = like.beside(folder / f"signalled-{number}")
        ended = run.go(strike=f"{moment}:{name}")
        seconds = ended.seconds if ended.seconds is not None else float("inf")
        problems = [] if ended.status == STATUS[name] else [f"status {ended.status}: {ended.text[-500:]}"]
        problems += [] if seconds <= SECONDS else [f"{seconds:.1f} s"]
        problems += ["no word of how to go on"] * ("mentor fit" not in ended.last_line)
        saved = re.search(r"step=(\d+)\.ckpt", ended.last_line)
        after = run.go()
        problems += [f"then status {after.status}: {after.last_line}"] if after.status else [difference(run, like)]
        problem = "; ".join(filter(None, problems))
        where = "two processes" if like is two else "one process"
        yield Outcome(
            f"{name} at {moment}, {where}",
            f"status {STATUS[name]} within {SECONDS} s, the command that goes on is said, and ends bit for bit equal",
            problem or f"{seconds:.1f} s, {'saved step ' + saved[1] if saved else 'nothing new to save'}, equal",
            not problem,
        )
    yield _twice(whole.beside(folder / "twice"), whole)


def _twice(run: SmallRun, whole: SmallRun) -> Outcome:
    """A second signal comes while the first is being answered."""
    ended = run.go(strike="updating:7:SIGTERM+SIGTERM")
    quick = ended.seconds is not None and ended.seconds < 2
    after = run.go()
    problem = "" if ended.status == 143 and quick else f"status {ended.status} after {ended.seconds} s"
    problem = problem or (f"then status {after.status}" if after.status else difference(run, whole))
    return Outcome(
        "SIGTERM twice in an update",
        "status 143 at once, and the run goes on from its last checkpoint",
        problem or f"{ended.seconds:.1f} s, equal",
        not problem,
    )
