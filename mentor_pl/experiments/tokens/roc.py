"""How well a score tells positive tokens from negative ones, with an interval over the problems they come from.

    AUC = U ÷ (n₁ n₀), U = pairs (positive, negative) in which the positive one scores higher, ties by half (Mann and
    Whitney, 1947): the area below the ROC curve. 0.5 is chance.

Tokens of a problem depend on each other, so the bootstrap draws whole problems. With U split by the problems of the two
tokens into wins [P, P], the AUC of a draw w [P], how often each problem is in it, is w wins wᵀ ÷ (w n₁ · w n₀).

Shapes: n tokens, P problems.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mentor_pl.experiments.statistics.statistics import Interval, bootstrap

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Auc:
    """An area under the ROC curve.

    Attributes:
        value: NaN where all tokens are of one kind.
        interval: 95 %, over problems; NaN of a single problem, and where a draw of problems has one kind alone.
    """

    value: float
    interval: Interval


def auc(scores: Any, positive: Any, problems: Any) -> Auc:
    """The area and its interval.

    Args:
        scores: [n] numbers.
        positive: [n] bool.
        problems: [n], whatever tells the problems apart.
    """
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    owners = np.unique(np.asarray(problems), return_inverse=True)[1]
    count = int(owners.max()) + 1 if len(owners) else 0
    above, below = scores[positive], owners[positive]
    wins = np.zeros((count, count))
    for problem in range(count):
        others = np.sort(scores[~positive & (owners == problem)])
        beaten = (np.searchsorted(others, above, "left") + np.searchsorted(others, above, "right")) / 2
        wins[:, problem] = np.bincount(below, beaten, count)
    ones, zeros = np.bincount(below, minlength=count), np.bincount(owners[~positive], minlength=count)
    if not ones.any() or not zeros.any():
        return Auc(math.nan, (math.nan, math.nan))

    def of_draws(drawn: Any, axis: int = -1) -> Any:
        rows = np.asarray(drawn).astype(np.int64).reshape(-1, np.shape(drawn)[axis])  # [R, ·] numbers of problems
        cells = rows + count * np.arange(len(rows))[:, None]
        w = np.bincount(cells.ravel(), minlength=len(rows) * count).reshape(len(rows), count)
        with np.errstate(invalid="ignore"):
            areas = ((w @ wins) * w).sum(1) / ((w @ ones) * (w @ zeros))
        return areas.reshape(np.shape(drawn)[:-1])

    return Auc(float(wins.sum() / (ones.sum() * zeros.sum())), bootstrap(range(count), of_draws))


def roc_curve(scores: Any, positive: Any) -> tuple[Floats, Floats]:
    """Shares of negative and of positive tokens at or above each score, from (0, 0) to (1, 1); equal scores are one.

    Args:
        scores: [n] numbers, of both kinds.
        positive: [n] bool.
    """
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # of every run of equal scores
    true, false = (np.concatenate([[0], np.cumsum(some[order])[last]]) for some in (positive, ~positive))
    return false / false[-1], true / true[-1]


def numbers(found: Auc) -> dict[str, float | Sequence[float] | None]:
    """As JSON has it; null where it is not known."""
    known = all(map(math.isfinite, found.interval))
    return {"auc": found.value if math.isfinite(found.value) else None, "interval": found.interval if known else None}


def in_words(found: Auc) -> str:
    """Such as `0.912 [0.887, 0.934]`."""
    if not math.isfinite(found.value):
        return "–"
    low, high = found.interval
    return f"{found.value:.3f}" + (f" [{low:.3f}, {high:.3f}]" if math.isfinite(low) else "")
