"""Writes the testbed of one task of reasoning-gym: model folders and files of problems, as of the maze.

out/policy/          the base: guesses, and seldom works the sum out or checks
out/expert/          the expert: always does
out/train.jsonl      problems to train on, as reading the task by its name gives them, with what the reward needs;
                     those that have a trace: `demonstrations`, a list with a right solution, and `decisions`
out/heldout.jsonl    problems that neither pre-training nor training has seen, without those
"""

from __future__ import annotations

import itertools
import random
from functools import partial
from pathlib import Path
from typing import Any

from mentor_pl.runtime.ranges import check
from mentor_pl.testbed.gym.labels import labels
from mentor_pl.testbed.gym.models import ExpertDials, GymModels, PolicyDials
from mentor_pl.testbed.gym.problems import TaskName, parse, rows
from mentor_pl.testbed.gym.solutions import Style, right_solution
from mentor_pl.testbed.testbed_writer import TestbedWriter


def gym(
    task: TaskName,
    out: str | Path | None = None,
    policy: PolicyDials = PolicyDials(),  # noqa: B008  frozen
    expert: ExpertDials = ExpertDials(),  # noqa: B008  frozen
    seed: int = 0,
    scale: float = 1.0,
    train_problems: int = 2_000,
    heldout_problems: int = 200,
    traces: int = 2_000,
) -> None:
    """Write the testbed of a task of reasoning-gym; what is there already and is what would be written stays untouched.

    Args:
        task: chain_sum, five digits to add and subtract, or countdown, four numbers whose signs are to be found.
        out: the folder to write to, made if missing; data/TASK by default.
        policy: what the base is.
        expert: what the expert is.
        seed: draws problems, traces, weights and demonstrations. No seed puts a held-out problem into training.
        scale: multiplies steps and demonstrations; below 1 for a trial, the models are worse.
        train_problems: problems in train.jsonl.
        heldout_problems: problems in heldout.jsonl.
        traces: how many problems of train.jsonl have a trace of the expert, one each: the first ones; 0 for none.

    Raises:
        UsageError: where reasoning-gym is not installed, a scale or a number of problems is out of range, or `out`
            cannot be written to.
    """
    folder = Path(out if out is not None else f"data/{task}")
    for name, count in (("train", train_problems), ("heldout", heldout_problems)):
        check(f"--{name}_problems", count, at_least=1, at_most=10_000, because="more are slow to find")
    train = list(itertools.islice(rows(task, "train", seed), train_problems))
    heldout = list(itertools.islice(rows(task, "heldout", seed), heldout_problems))
    with TestbedWriter(task, partial(GymModels, task), folder, seed, scale, traces) as testbed:
        traced = (trace(row["problem"], expert.style, seed) for row in train[:traces])
        testbed.write_problems("train.jsonl", train, traced)
        testbed.write_problems("heldout.jsonl", heldout)
        testbed.write_model("policy", policy)
        testbed.write_model("expert", expert)


def trace(question: str, style: Style, seed: int) -> dict[str, Any]:
    """A right solution in this style, and the places of its decisions; it depends on question, style and seed alone."""
    text = right_solution(parse(question), style, random.Random(f"trace {seed} {question}"))
    decisions = [place for place, label in enumerate(labels(question, text.split())) if label]
    return {"demonstrations": [text], "decisions": decisions}
