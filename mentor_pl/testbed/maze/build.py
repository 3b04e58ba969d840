"""Writes the maze testbed: model folders and files of problems.

    out/policy/          the base: answers after one attempt, rarely checks
    out/expert/          the expert: checks every attempt and tries again
    out/train.jsonl      problems to train on; one JSON object a line: problem, answer, blocked, goal, start, solutions;
                         those that have a trace: `demonstrations`, a list with a right solution as the expert words
                         it, and `decisions`, the places of its words that are decisions
    out/heldout.jsonl    problems that neither pre-training nor training has seen, in the same form, without those
    out/large.jsonl      problems on 5 × 5 cells, likewise

`family` writes many bases and experts over the same tokens, so that how each is can be varied by itself:

    out/policies/NAME/   a base
    out/experts/NAME/    an expert
    out/train/NAME.jsonl the problems to train on, with the traces of the expert of this name
    out/heldout.jsonl, out/large.jsonl

The finished weights of the default dials are part of the package, so `build` takes seconds; with `train=True` it makes
them anew, and is how the finished ones were made: `policy` and `expert` moved to `finished/`.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mentor_pl.rewards.maze import Maze, cell_name
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check
from mentor_pl.testbed.maze.labels import labels
from mentor_pl.testbed.maze.models import ExpertDials, Kind, MazeModels, PolicyDials
from mentor_pl.testbed.maze.problems import Ways, large_mazes, split
from mentor_pl.testbed.maze.solutions import Style, right_solution
from mentor_pl.testbed.model_maker import ModelMaker
from mentor_pl.testbed.testbed_writer import TestbedWriter

FINISHED: Final = Path(__file__).parent / "finished"  # the finished weights, shipped with the package
LARGE_PROBLEMS: Final = 200
_FOLDER_NAME: Final = re.compile(r"\w[\w.-]*")


def build(
    out: str | Path = "data/testbed",
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
        policy: what the base is. Other values than the defaults are trained: two to three minutes on one core.
        expert: what the expert is, likewise.
        train: pre-train both models from nothing (about five minutes on one core) instead of copying finished ones.
        seed: draws the problems and traces and, where models are trained, weights and demonstrations. The two sides
            never share a problem, whatever the seeds.
        scale: of models that are trained, multiplies steps and demonstrations; below 1 for a trial, they are worse.
        train_problems: problems in train.jsonl.
        heldout_problems: problems in heldout.jsonl.
        traces: how many problems of train.jsonl have a trace of the expert, one each: the first ones; 0 for none.

    Raises:
        UsageError: a scale or a number of problems out of range, or `out` cannot be written to.
    """
    with _Mazes(out, seed, scale, train_problems, heldout_problems, traces) as testbed:
        testbed.write_train("train.jsonl", expert)
        testbed.write_pair(policy, expert, FINISHED, train)


def family(
    policies: Mapping[str, PolicyDials],
    experts: Mapping[str, ExpertDials],
    out: str | Path = "data/family",
    seed: int = 0,
    scale: float = 1.0,
    train_problems: int = 2_000,
    heldout_problems: int = 200,
    traces: int = 2_000,
) -> None:
    """Write bases and experts over the same tokens, each with dials of its own, and the traces of every expert.

    A trunk, a base and an expert take about two, one and two minutes on one core; what is there already stays.

    Args:
        policies: name -> what the base is.
        experts: name -> what the expert is.
        out: the folder to write to; made if missing.
        seed: draws problems, traces, weights and demonstrations.
        scale: multiplies steps and demonstrations; below 1 for a trial, the models are worse.
        train_problems: problems in train/NAME.jsonl.
        heldout_problems: problems in heldout.jsonl.
        traces: how many problems have a trace, one each: the first ones; 0 for none.

    Raises:
        UsageError: a dial or a number out of its range, a name that is no name of a folder, or `out` cannot be written.
    """
    for name in (*policies, *experts):
        if not _FOLDER_NAME.fullmatch(name):
            raise UsageError(f"{name!r} names a folder: give letters, digits, '.', '_' and '-'")
    with _Mazes(out, seed, scale, train_problems, heldout_problems, traces) as testbed:
        for name, base in policies.items():
            testbed.write_model(f"policies/{name}", base)
        for name, expert in experts.items():
            testbed.write_train(f"train/{name}.jsonl", expert)
            testbed.write_model(f"experts/{name}", expert)


class _Mazes(TestbedWriter):
    """The maze's: with the problems of both sides drawn, and those held out written."""

    def __init__(
        self, out: str | Path, seed: int, scale: float, train_problems: int, heldout_problems: int, traces: int
    ) -> None:
        sides = {"train": (split("train"), train_problems), "heldout": (split("heldout"), heldout_problems)}
        for name, (side, count) in sides.items():
            distinct = f"there are {len(side)} distinct mazes"
            check(f"--{name}_problems", count, at_least=1, at_most=len(side), because=distinct)
        super().__init__("maze", MazeModels, out, seed, scale, traces)
        self._makers: dict[Kind, ModelMaker] = {"words": self.models}
        drawn = {name: random.Random(f"{name} {seed}").sample(side, count) for name, (side, count) in sides.items()}
        self._mazes, self._traced, self._seed = drawn["train"], drawn["train"][:traces], seed
        self.write_problems("heldout.jsonl", list(map(problem_row, drawn["heldout"])))
        large = itertools.islice(large_mazes("heldout", seed), LARGE_PROBLEMS)
        self.write_problems("large.jsonl", list(map(problem_row, large)))

    def maker(self, dials: PolicyDials | ExpertDials) -> ModelMaker:
        """Of models with these tokens: one for each kind, with a trunk of its own."""
        kind = dials.tokens if isinstance(dials, ExpertDials) else "words"
        if kind not in self._makers:
            made = self.models
            self._makers[kind] = MazeModels(made.seed, made.scale, made.progress, kind)
        return self._makers[kind]

    def write_train(self, name: str, expert: ExpertDials) -> None:
        """The problems to train on, the first ones with a trace in this expert's style."""
        traces = (trace(maze, expert.style, self._seed) for maze in self._traced)
        self.write_problems(name, list(map(problem_row, self._mazes)), traces)


def problem_row(maze: Maze) -> dict[str, Any]:
    """One line of a problem file: `answer` is one solution of `solutions` many."""
    ways = Ways(maze)
    return {
        "problem": maze.text(),
        "answer": ways.solution(),
        "blocked": [cell_name(cell) for cell in sorted(maze.blocked)],
        "goal": cell_name(maze.goal),
        "start": cell_name(maze.start),
        "solutions": ways.count(),
    }


def trace(maze: Maze, style: Style, seed: int) -> dict[str, Any]:
    """A right solution in this style, and the places of its decisions; it depends on maze, style and seed alone."""
    text = right_solution(maze, style, random.Random(f"trace {seed} {maze.text()}"))
    decisions = [place for place, label in enumerate(labels(maze.text(), text.split())) if label]
    return {"demonstrations": [text], "decisions": decisions}
