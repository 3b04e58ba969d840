"""From where a step is replayed: the nearest checkpoint before it, or the run's start, and the records since."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mentor_pl.cli.recorded_run import Before, check_run, checkpoints_of, weights_before
from mentor_pl.records.reading import check_recorded, steps_of
from mentor_pl.runtime.errors import UsageError


@dataclass(frozen=True)
class ReplayPlan:
    """What a replay starts from.

    Attributes:
        before: the weights that it starts from.
        after: the run's checkpoint after the step, which the outcome is compared with, where there is one.
    """

    before: Before
    after: Path | None


def plan_replay(run: Path, step: int) -> ReplayPlan:
    """How to replay a step of a run.

    Raises:
        UsageError: where the step has no record, no checkpoint is before it, or a step between has no record.
    """
    check_run(run)
    check_recorded(run, step)
    before, recorded = weights_before(run, step), steps_of(run)
    missing = [one for one in range(before.done + 1, step) if one not in recorded]
    if missing:
        raise UsageError(
            f"{run} has no record of step {missing[0]}, which lies between {before.words} and step {step}: record "
            "every step, or replay one behind a checkpoint"
        )
    return ReplayPlan(before, checkpoints_of(run).get(step))
