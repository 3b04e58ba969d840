"""What the fault scripts share: cases with what was expected and seen, their table, and the exit status."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import torch

from mentor_pl.runtime.machine import cores


@dataclass(frozen=True)
class Outcome:
    """One case that was tried.

    Attributes:
        case: what was done.
        expected: the bar, in words.
        seen: what happened, with its figures.
        passed: whether that is what was expected.
    """

    case: str
    expected: str
    seen: str
    passed: bool


def finish(title: str, outcomes: Iterable[Outcome]) -> int:
    """Print each outcome as a row of a Markdown table as soon as it is there; 1 where one did not pass, else 0."""
    print(f"## {title}\n\n| case | expected | seen | |\n| --- | --- | --- | --- |", flush=True)
    done = []
    for outcome in outcomes:
        done.append(outcome)
        cells = (outcome.case, outcome.expected, outcome.seen, "ok" if outcome.passed else "**FAILED**")
        print("| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |", flush=True)
    failed = sum(not outcome.passed for outcome in done)
    machine = f"{cores()} cores, Python {platform.python_version()}, torch {torch.__version__}"
    print(f"\n{len(done) - failed} of {len(done)} as expected; {machine}; {date.today().isoformat()}")
    return int(failed > 0 or not done)
