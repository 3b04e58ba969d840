"""Reading the records of a run: which steps there are, and the rows of one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mentor_pl.records.checking import misfit
from mentor_pl.records.damaged import DamagedFile
from mentor_pl.records.schema import FOLDER, SCHEMA
from mentor_pl.runtime.errors import UsageError

_NAME = re.compile(r"step=(\d+)\.parquet")


def place_of(run: Path, step: int) -> Path:
    """Where the record of a step lies in a run's folder."""
    return run / FOLDER / f"step={step:06d}.parquet"


def steps_of(run: Path) -> list[int]:
    """The recorded steps of a run, ascending; none where it has no records."""
    found = [_NAME.fullmatch(path.name) for path in (run / FOLDER).glob("step=*.parquet")]
    return sorted(int(match[1]) for match in found if match)


def check_recorded(run: Path, step: int) -> None:
    """Refuse a step without a record.

    Raises:
        UsageError: where it has none, with those that have one.
    """
    if not place_of(run, step).is_file():
        steps = steps_of(run)
        there = f"it has {some_of(steps)}" if steps else "it has none: train with callbacks.RolloutRecord"
        raise UsageError(f"{run} has no record of step {step}; {there}")


def read_step(run: Path, step: int) -> pa.Table:
    """The rollouts of a recorded step, a row each.

    Raises:
        UsageError: where the step is not recorded.
        DamagedFile: where its file is none of this schema.
    """
    check_recorded(run, step)
    path = place_of(run, step)
    try:
        with path.open("rb") as file:  # a name with `=` in it would else be taken for a column
            rows = pq.read_table(file, columns=SCHEMA.names).cast(SCHEMA)
        reason = misfit(rows, step)
    except (OSError, ValueError, KeyError, pa.ArrowException) as problem:
        reason = " ".join(str(problem).split())[:120]
    if reason is not None:
        raise DamagedFile(
            path, f"is no record of rollouts ({reason}): move it away, or give a run that RolloutRecord wrote"
        )
    return rows


def some_of(steps: Sequence[int]) -> str:
    """Steps in words, of many the first and the last."""
    shown = ", ".join(map(str, steps[:8]))
    return f"steps {shown}" if len(steps) <= 8 else f"{len(steps)} steps from {steps[0]} to {steps[-1]}"
