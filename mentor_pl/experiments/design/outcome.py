"""What is measured of a run, and how its evaluations become one number.

    last    mean of the last n evaluations
    area    area under the curve of all evaluations (trapezoids) ÷ the distance of the first from the last
    fall    largest drop of an evaluation below the best one before it; 0 where there is none

at steps     every evaluation counts, against steps
at tokens    those within a budget of sampled tokens count, against sampled tokens. The budget of a seed in a setting is
             the least that any of its runs has sampled in all; a run that samples none counts as at steps
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import fmean
from typing import Literal

from mentor_pl.experiments.metrics_file import Series, until
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check

SAMPLED = "cost/sampled_tokens"  # the sum until a step
CELL, WHOLE = "cell/", ("seconds", "cpu_seconds")  # what is measured of the whole command, which no run logs
Summary = Literal["last", "area", "fall"]
At = Literal["steps", "tokens"]


@dataclass(frozen=True)
class Outcome:
    """A metric of the run and how its evaluations become one number.

    Attributes:
        metric: as logged, such as val/maze/avg@8.
        summary: last, area or fall.
        last: how many evaluations `last` is the mean of.
        at: whether runs are compared at equal steps or at equal sampled tokens.
    """

    metric: str
    summary: Summary = "last"
    last: int = 3
    at: At = "steps"

    def __post_init__(self) -> None:
        check(f"{self.metric}: last", self.last, at_least=1, because="it counts evaluations")

    @property
    def name(self) -> str:
        """In words."""
        how = {
            "last": f"mean of the last {self.last} evaluations" if self.last > 1 else "last value",
            "area": "mean height of the curve",
            "fall": "largest fall below the best before",
        }[self.summary]
        return f"{self.metric}, {how}" + (", at equal sampled tokens" if self.at == "tokens" else "")


@dataclass(frozen=True)
class Criterion:
    """What every seed of a method must keep to.

    Attributes:
        method: whose runs.
        metric: as logged; also cell/seconds and cell/cpu_seconds, of the whole command.
        summary: last, area or fall.
        last: how many evaluations `last` is the mean of.
        at_most: the largest value that will do.
        at_least: the smallest value that will do.
        setting: where, such as threads=1; by default in every setting.

    Raises:
        UsageError: for bounds that are none, or that nothing is within, or a measure of the command that there is not.
    """

    method: str
    metric: str
    summary: Summary = "last"
    last: int = 1
    at_most: float = math.inf
    at_least: float = -math.inf
    setting: str | None = None

    def __post_init__(self) -> None:
        words = f"criterion of {self.metric} for {self.method!r}"
        check(f"{words}: last", self.last, at_least=1, because="it counts evaluations")
        if not math.isfinite(self.at_most) and not math.isfinite(self.at_least):
            raise UsageError(f"{words} has no bound: give at_most, at_least or both")
        if self.at_least > self.at_most:
            raise UsageError(f"{words}: at_least is {self.at_least:g}, but at_most {self.at_most:g}: swap them")
        if self.metric.startswith(CELL) and self.metric.removeprefix(CELL) not in WHOLE:
            raise UsageError(f"{words}: there is {' and '.join(CELL + one for one in WHOLE)}: give one of them")

    @property
    def outcome(self) -> Outcome:
        """What is held against the bounds."""
        return Outcome(self.metric, self.summary, self.last)

    @property
    def name(self) -> str:
        """In words."""
        bounds = {"at most": self.at_most, "at least": self.at_least}
        wanted = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound))
        return f"{self.method}: {self.outcome.name}, {wanted}"

    def excess(self, value: float) -> float:
        """By how much a value is beyond the nearer bound; negative within."""
        return max(value - self.at_most, self.at_least - value)


def summary(
    evaluations: Series, outcome: Outcome, sampled: Series | None = None, budget: float = math.inf
) -> float | None:
    """One number of a run's evaluations; none where they are too few or one is no finite number.

    Args:
        evaluations: by step, in order.
        outcome: which number.
        sampled: tokens sampled until a step.
        budget: of sampled tokens.
    """
    points = [(float(step), value) for step, value in evaluations.items()]
    if outcome.at == "tokens" and total(sampled):
        spent = [(until(sampled or {}, step), value) for step, value in evaluations.items()]
        points = [(tokens, value) for tokens, value in spent if tokens <= budget]
    values = [value for _, value in points]
    if not values or not all(map(math.isfinite, values)):
        return None
    if outcome.summary == "fall":
        return fall(values)
    if outcome.summary == "last":
        return fmean(values[-outcome.last :]) if len(values) >= outcome.last else None
    width = points[-1][0] - points[0][0]
    parts = [(b - a) * (left + right) / 2 for (a, left), (b, right) in pairwise(points)]
    return sum(parts) / width if width > 0 else None


def fall(values: Sequence[float]) -> float:
    """The largest drop below the best before: max over t of  max_{s ≤ t} v_s − v_t."""
    return max(best - value for best, value in zip(accumulate(values, max), values, strict=True))


def total(sums: Series | None) -> float:
    """The last value of a running sum; 0 of none."""
    return next(reversed(sums.values())) if sums else 0.0
