"""The records of a run as a page carries them, as many as a number of bytes has room for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa

from mentor_pl.records.damaged import DamagedFile, PassOver
from mentor_pl.records.page.choose import choose_rows, evenly
from mentor_pl.records.page.curves import curves_of
from mentor_pl.records.page.findings import Findings, findings_of
from mentor_pl.records.page.step import pack_step
from mentor_pl.records.reading import check_recorded, place_of, read_step, steps_of
from mentor_pl.runtime.errors import UsageError

FEWEST: Final = 5  # steps that a page has rather than more rollouts of each
MOST: Final = 200  # steps, for a list to pick from


class Packed(NamedTuple):
    """A step of a page.

    Attributes:
        letters: as `pack_step` makes them.
        rollouts: how many of them it has.
        recorded: how many the record has.
        problems: what they answer.
    """

    letters: str
    rollouts: int
    recorded: int
    problems: frozenset[int]


@dataclass(frozen=True)
class Embedded:
    """A run of a page.

    Attributes:
        run: its folder.
        recorded: its recorded steps.
        steps: those of them that are embedded.
        findings: what was found of its tokens later.
        curves: of its metrics.csv.
        passed_over: files that are damaged -> why and what to do, in a line each.
    """

    run: Path
    recorded: Sequence[int]
    steps: Mapping[int, Packed]
    findings: Findings
    curves: list[dict[str, Any]]
    passed_over: Mapping[Path, str]

    @property
    def size(self) -> int:
        """Bytes that the steps take."""
        return _size(self.steps)

    def left_out(self) -> str:
        """What of the record the page has not, in words; empty where it has all."""
        said = []
        if len(self.steps) < len(self.recorded):
            said.append(f"{len(self.recorded) - len(self.steps)} of {len(self.recorded)} recorded steps")
        there = sum(one.recorded for one in self.steps.values())
        missing = there - sum(one.rollouts for one in self.steps.values())
        if missing:
            said.append(f"{missing:,} of {there:,} rollouts of the {'step' if len(self.steps) == 1 else 'steps'} shown")
        if self.passed_over:
            said.append(f"what is damaged: {', '.join(path.name for path in self.passed_over)}")
        return " and ".join(said)


def embed(runs: Sequence[Path], steps: Sequence[int], rollouts: int, size: int) -> list[Embedded]:
    """Pack the records of one run, or of two that are to be compared.

    Args:
        runs: folders.
        steps: those to embed; of none as many as there is room for, evenly spaced.
        rollouts: of a step at most.
        size: bytes that all may take; where the least possible takes more, it is exceeded.

    Raises:
        UsageError: for a run without records, a step that is not recorded, or a run none of whose records can be read.
    """
    recorded = [_recorded(run) for run in runs]
    for step in steps:
        if not any(step in one for one in recorded):
            check_recorded(runs[0], step)
    common = sorted(set.intersection(*map(set, recorded)))
    room = size // len(runs)
    found: list[Embedded] = []
    for run, its in zip(runs, recorded, strict=True):
        found.append(_embedded(run, its, sorted(set(steps) & set(its)), common, rollouts, room, found))
    return found


def _recorded(run: Path) -> list[int]:
    if not run.is_dir():
        raise UsageError(f"{run}: no such folder: give a run's, such as runs/quickstart/version_0")
    if not (steps := steps_of(run)):
        raise UsageError(
            f"{run} has no records of rollouts: train with callbacks.RolloutRecord among trainer.callbacks, "
            "such as --trainer.callbacks+ callbacks.RolloutRecord"
        )
    return steps


def _embedded(
    run: Path,
    recorded: list[int],
    named: list[int],
    common: list[int],
    rollouts: int,
    room: int,
    others: list[Embedded],
) -> Embedded:
    """One run within its room, without its files that are damaged."""
    reading = PassOver()
    findings = findings_of(run, reading)
    curves = reading(lambda: curves_of(run), list[dict[str, Any]]())
    packed = cache(lambda step, most: _packed(run, findings, step, most, others))
    while True:
        there = [step for step in named or recorded if place_of(run, step) not in reading.files]
        if not there:
            raise UsageError(reading.files[place_of(run, (named or recorded)[-1])])
        shared = [step for step in common if step in there]
        steps = reading(lambda: _fitted(there, bool(named), shared, rollouts, room, packed), None)  # noqa: B023
        if steps is not None:
            return Embedded(run, recorded, steps, findings, curves, reading.files)


def _fitted(
    wanted: list[int],
    named: bool,
    common: list[int],
    rollouts: int,
    room: int,
    packed: Callable[[int, int], Packed],
) -> dict[int, Packed]:
    """The steps of a run within its room: fewer of them first, and where they are named or few, fewer rollouts of each.

    Args:
        wanted: steps to choose from.
        named: all of them are asked for.
        common: those that go first where there is no room for all.
        rollouts: of a step at most.
        room: bytes.
        packed: (step, rollouts of it at most) -> the step.
    """
    count = len(wanted) if named else min(MOST, len(wanted))
    fewest = count if named else min(FEWEST, count)
    # a guess by the last step, whose responses are the longest in most runs, spares packing what has no room
    last = packed(wanted[-1], rollouts)
    needed = len(last.letters) * fewest / room
    most = rollouts if needed <= 1 else max(1, int(last.rollouts / needed))
    count = max(fewest, min(count, room // len(last.letters)))
    while True:
        pool = common if not named and fewest <= len(common) and count < len(wanted) else wanted
        steps = {step: packed(step, most) for step in evenly(pool, count)}
        over = _size(steps) / room
        if over <= 1 or (count == fewest and most == 1):
            return steps
        if count > fewest:
            count = max(fewest, min(count - 1, int(count / over)))
        else:
            largest = max(one.rollouts for one in steps.values())
            most = max(1, min(largest - 1, int(largest / over)))


def _size(steps: Mapping[int, Packed]) -> int:
    return sum(len(one.letters) for one in steps.values())


def _packed(run: Path, findings: Findings, step: int, most: int, others: list[Embedded]) -> Packed:
    rows = read_step(run, step)
    if not len(rows):
        raise DamagedFile(place_of(run, step), "has no rollouts: name the steps to show by --steps")
    wanted = {problem for other in others if step in other.steps for problem in other.steps[step].problems}
    places = choose_rows(rows, most, wanted)
    some = rows.take(pa.array(places, pa.int64()))
    return Packed(
        pack_step(some, len(rows), places, findings), len(some), len(rows), frozenset(some["problem"].to_pylist())
    )
