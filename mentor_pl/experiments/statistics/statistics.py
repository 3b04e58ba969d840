"""What a few seeds can say: means and intervals of one method, paired differences of two, Holm's correction.

    mean ± s.e.     s.e. = sample standard deviation ÷ √n
    IQM             mean of the middle half of the seeds (25 % trimmed at each end), after arXiv 2108.13264
    interval        95 % BCa bootstrap over seeds (Efron, 1987)
    p               paired permutation test of the mean difference: all 2ⁿ signs up to n = 13, else 9,999 drawn ones
    d               Cohen's, paired: mean ÷ standard deviation of the differences
    improvement     chance that a seed of one is above a seed of the other, ties by half, over all n² pairs

Shapes: n seeds.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 9_999
LEVEL = 0.95
ROUNDING = 1e-12  # outcomes are shares, nats and counts of tokens; a difference below it is none
Interval = tuple[float, float]
Statistic = Callable[..., Any]  # of values, along `axis`


@dataclass(frozen=True)
class Summary:
    """One method's seeds.

    Attributes:
        error: standard error of the mean; NaN of a single seed.
        interval: of the IQM; NaN of a single seed.
    """

    n: int
    mean: float
    error: float
    iqm: float
    interval: Interval


@dataclass(frozen=True)
class Paired:
    """Ours less theirs, by seed.

    Attributes:
        seeds: that both have.
        left_out: seeds that one of them alone has.
        mean: of the differences.
        interval: of the mean; NaN of a single seed.
        d: Cohen's; NaN of a single seed and where all differences are equal.
        improvement: chance that one of ours is above one of theirs.
        p_above: one-sided p of a mean difference above the threshold.
        p_below: of one below it.
    """

    seeds: tuple[int, ...]
    left_out: tuple[int, ...]
    mean: float
    interval: Interval
    d: float
    improvement: float
    p_above: float
    p_below: float


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard error of the mean; the error of a single value is NaN."""
    return float(np.mean(values)), float(stats.sem(values)) if len(values) > 1 else math.nan


def iqm(values: Any, axis: int = -1) -> Any:
    """Interquartile mean along an axis."""
    return stats.trim_mean(values, 0.25, axis=axis)


def summarise(values: Sequence[float]) -> Summary | None:
    """What is reported of a method's seeds; none of no seeds."""
    if not values:
        return None
    mean, error = mean_and_error(values)
    return Summary(len(values), mean, error, float(iqm(values)), bootstrap(values, iqm))


def bootstrap(values: Sequence[float], statistic: Statistic = np.mean) -> Interval:
    """The 95 % BCa interval of a statistic; the value itself where all are equal, NaN of a single one.

    Where BCa's acceleration is 0 ÷ 0, since leaving out any one seed gives the same, it is the percentile interval.
    """
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return math.nan, math.nan
    if np.all(array == array[0]):
        return float(array[0]), float(array[0])
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of the NaN that is asked for below
            found = stats.bootstrap(
                (array,), statistic, n_resamples=RESAMPLES, confidence_level=LEVEL, method=method,
                rng=np.random.default_rng(0),
            ).confidence_interval  # fmt: skip
        if math.isfinite(found.low) and math.isfinite(found.high):
            break
    return float(found.low), float(found.high)


def permutation_p(differences: Sequence[float], alternative: Literal["greater", "less"]) -> float:
    """One-sided p that the mean of paired differences is not 0: its place among the means under changed signs [n]."""
    # SciPy asks for two or more; a difference of 0 more changes no place, since it has no sign.
    padded = [*differences, 0.0] if len(differences) == 1 else differences
    test = stats.permutation_test(
        (np.asarray(padded, dtype=np.float64),), np.mean, permutation_type="samples", vectorized=True,
        n_resamples=RESAMPLES, alternative=alternative, rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(test.pvalue)


def compare(ours: Mapping[int, float], theirs: Mapping[int, float], threshold: float = 0.0) -> Paired | None:
    """Paired statistics over the seeds that both have; none where there is no such seed.

    Args:
        ours: seed -> outcome.
        theirs: likewise.
        threshold: what the mean difference is tested against.
    """
    seeds = tuple(sorted(ours.keys() & theirs.keys()))
    if not seeds:
        return None
    a, b = np.array([ours[seed] for seed in seeds]), np.array([theirs[seed] for seed in seeds])
    differences: NDArray[np.float64] = a - b
    shifted = differences - threshold
    shifted[np.abs(shifted) <= ROUNDING] = 0.0
    spread = float(np.std(differences, ddof=1)) if len(seeds) > 1 else math.nan
    above = np.sign(a[:, None] - b[None, :])  # [n, n]
    return Paired(
        seeds=seeds,
        left_out=tuple(sorted(ours.keys() ^ theirs.keys())),
        mean=float(differences.mean()),
        interval=bootstrap(list(differences)),
        d=float(differences.mean()) / spread if spread > ROUNDING else math.nan,
        improvement=float((1 + above).mean() / 2),
        p_above=permutation_p(list(shifted), "greater"),
        p_below=permutation_p(list(shifted), "less"),
    )


def smallest_p(n: int) -> float:
    """The least p that a paired permutation test over n seeds can give."""
    return max(0.5**n, 1 / (RESAMPLES + 1))


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p, in the order given: the k-th smallest of m times m − k + 1; no smaller one is above it."""
    adjusted, floor = [1.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        floor = max(floor, min(1.0, ps[place] * (len(ps) - rank)))
        adjusted[place] = floor
    return adjusted
