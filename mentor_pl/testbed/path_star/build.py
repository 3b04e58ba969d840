"""Writes path-star's testbed: model folders and files of problems, as of the maze.

    out/policy/          the base: takes any arm, seldom the right one on purpose, and walks it rightly
    out/expert/          the expert: looks ahead
    out/train.jsonl      problems to train on; one JSON object a line: problem, answer, start, goal, arms; those that
                         have a trace: `demonstrations`, a list with the answer as the expert words it, and `decisions`
    out/heldout.jsonl    problems of stars that neither pre-training nor training has seen, without those

The finished weights of the default dials lie in `finished/`; `--train` makes them anew, and is how they were made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mentor_pl.runtime.ranges import check
from mentor_pl.testbed.path_star.models import ExpertDials, PathStarModels, PolicyDials
from mentor_pl.testbed.path_star.problems import problems
from mentor_pl.testbed.path_star.rows import problem_row, trace
from mentor_pl.testbed.testbed_writer import TestbedWriter

FINISHED: Final = Path(__file__).parent / "finished"


def path_star(
    out: str | Path = "data/path_star",
    policy: PolicyDials = PolicyDials(),  # noqa: B008  frozen
    expert: ExpertDials = ExpertDials(),  # noqa: B008  frozen
    train: bool = False,
    seed: int = 0,
    scale: float = 1.0,
    train_problems: int = 2_000,
    heldout_problems: int = 200,
    traces: int = 2_000,
) -> None:
    """Write the testbed into `out`; what is there already and is what would be written stays untouched.

    Args:
        out: the folder to write to; made if missing.
        policy: what the base is. Other values than the defaults are trained: about two minutes on one core.
        expert: what the expert is, likewise.
        train: pre-train both models from nothing (about three minutes on one core) instead of copying finished ones.
        seed: draws the problems and, where models are trained, weights and demonstrations. The two sides never share a
            star, whatever the seeds.
        scale: of models that are trained, multiplies steps and demonstrations; below 1 for a trial, they are worse.
        train_problems: problems in train.jsonl.
        heldout_problems: problems in heldout.jsonl.
        traces: how many problems of train.jsonl have a trace, one each: the first ones; 0 for none.

    Raises:
        UsageError: a scale or a number of problems out of range, or `out` cannot be written to.
    """
    for name, count in (("train", train_problems), ("heldout", heldout_problems)):
        check(
            f"--{name}_problems", count, at_least=1, at_most=100_000, because="each is drawn when the file is written"
        )
    with TestbedWriter("path_star", PathStarModels, out, seed, scale, traces) as testbed:
        stars, held_out = problems("train", train_problems, seed), problems("heldout", heldout_problems, seed)
        testbed.write_problems("train.jsonl", list(map(problem_row, stars)), map(trace, stars[:traces]))
        testbed.write_problems("heldout.jsonl", list(map(problem_row, held_out)))
        testbed.write_pair(policy, expert, FINISHED, train)
