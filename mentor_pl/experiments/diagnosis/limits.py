"""From where on a run's metrics are said to go wrong, and what is looked at.

A sign is a function of the metrics so far, name -> values by step, that gives its words where it shows at the last
step, and None otherwise. Where what it looks at is not logged it does not show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mentor_pl.experiments.metrics_file import Series
from mentor_pl.runtime.ranges import check

Metrics = Mapping[str, Series]

ENTROPY, LENGTH, FORMAT = "train/on_policy/entropy", "train/on_policy/length", "train/on_policy/format"
TRUNCATED, GUIDED, ALPHA, GAMMA = "train/on_policy/truncated", "train/mixed/guided", "train/alpha", "train/gamma"
REWARD, OUTCOME, WITHOUT_SIGNAL = "train/on_policy/reward", "train/on_policy/outcome", "train/without_signal"
NOT_GRADED, ROLLOUTS, GRADIENT = "reward/not_graded", "train/rollouts", "train/grad_norm"
WATCHED = frozenset(
    {ENTROPY, LENGTH, FORMAT, TRUNCATED, GUIDED, ALPHA, GAMMA, REWARD, OUTCOME}
    | {WITHOUT_SIGNAL, NOT_GRADED, ROLLOUTS, GRADIENT}
)


@dataclass(frozen=True)
class Limits:
    """From where on a sign is said.

    Attributes:
        window: steps of a mean. A mean of 10 steps of 48 rollouts has a standard error of 0.03 at most times.
        streak: steps in a row for which something must hold that a single small batch can show by chance.
        entropy: of the share of its first value that entropy has kept, that of this run over the baseline's.
        length: mean response length over that of the first steps.
        rise: in accuracy, beside which a growing length is progress.
        pass_at_k: fall of pass@k below its best, at two measurements in a row.
        slide: fall of accuracy below its best: some four standard errors of avg@8 on 100 problems.
        alpha: at and below which guidance counts as over. No cosine stays at 0 for long before a run's end.
        gradient: norm of the gradient over its median while there was guidance.
        truncated: share of responses that are cut off.
        guided: share of the mixed rollouts' tokens that are the expert's.
        not_graded: share of rollouts without a verdict.

    Raises:
        UsageError: for a value out of its range.
    """

    window: int = 10
    streak: int = 5
    entropy: float = 0.7
    length: float = 1.5
    rise: float = 0.02
    pass_at_k: float = 0.05
    slide: float = 0.1
    alpha: float = 0.1
    gradient: float = 3.0
    truncated: float = 0.95
    guided: float = 0.95
    not_graded: float = 0.9

    def __post_init__(self) -> None:
        for name in ("window", "streak"):
            check(f"limits {name}", getattr(self, name), at_least=1, because="it counts steps")
        for name in ("length", "gradient"):
            check(f"limits {name}", getattr(self, name), above=1, because="it is a multiple of what was before")
        for name in ("entropy", "pass_at_k", "slide", "truncated", "guided", "not_graded"):
            check(f"limits {name}", getattr(self, name), above=0, at_most=1, because="it is a share")
        for name in ("rise", "alpha"):
            check(f"limits {name}", getattr(self, name), at_least=0, at_most=1, because="it is a share")


Sign = Callable[[Metrics, Limits], str | None]


def last(metrics: Metrics, name: str, count: int) -> list[float]:
    """The last `count` values of a metric, in order; none where there are fewer, or one of them is no number."""
    values = list(metrics.get(name, {}).values())[-count:]
    return values if len(values) == count and not any(map(math.isnan, values)) else []


def accuracy(metrics: Metrics) -> tuple[str, Series]:
    """What training knows of accuracy: the share of right rollouts, or without that part the mean reward."""
    name = OUTCOME if OUTCOME in metrics else REWARD
    return name, metrics.get(name, {})
