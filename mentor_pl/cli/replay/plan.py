"""From where a step is replayed: the nearest checkpoint before it, or the run's start, and the records since."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mentor_pl.records.reading import steps_of
from mentor_pl.runtime.checkpoint_files import damage
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.checkpoints import read


@dataclass(frozen=True)
class ReplayPlan:
    """What a replay starts from.

    Attributes:
        checkpoint: the last one before the step; none where the replay begins as the run did.
        done: batches of rollouts that it has seen.
        after: the run's checkpoint after the step, which the outcome is compared with, where there is one.
        settings: of the run.
    """

    checkpoint: Path | None
    done: int
    after: Path | None
    settings: dict[str, Any]


def plan_replay(run: Path, step: int) -> ReplayPlan:
    """How to replay a step of a run.

    Raises:
        UsageError: where the step has no record, no checkpoint is before it, or a step between has no record.
    """
    recorded = steps_of(run)
    if step not in recorded:
        there = f"steps {recorded[0]} to {recorded[-1]} have one" if recorded else "no step has one"
        raise UsageError(f"{run} has no record of step {step} ({there}): train with callbacks.RolloutRecord")
    saved = {read(path).step: path for path in sorted((run / "checkpoints").glob("*.ckpt")) if damage(path) is None}
    before = max((done for done in saved if done < step), default=0)
    settings = read(saved[before]).settings if before else {}
    settings = settings or _settings(run)
    if not before and settings.get("ckpt_path"):
        raise UsageError(
            f"{run} has no checkpoint before step {step}, and it began from {settings['ckpt_path']}: keep more "
            "checkpoints, by keep of callbacks.RunCheckpoints, or replay a step behind one"
        )
    missing = [one for one in range(before + 1, step) if one not in recorded]
    if missing:
        raise UsageError(
            f"{run} has no record of step {missing[0]}, which lies between "
            f"{f'the checkpoint of step {before}' if before else 'its start'} and step {step}: record every step, or "
            f"replay one behind a checkpoint"
        )
    return ReplayPlan(saved.get(before), before, saved.get(step), settings)


def _settings(run: Path) -> dict[str, Any]:
    file = run / "config.yaml"
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:100]
        raise UsageError(f"{file} cannot be read ({reason}): give the folder of a run of mentor fit") from None
    if not isinstance(loaded, dict):
        raise UsageError(f"{file} is no configuration: give the folder of a run of mentor fit")
    return loaded
