"""Confidence intervals: by the bootstrap over problems, how far a mean moves when the problems are drawn again; and
Wilson's, of a success rate of independent trials.

A resample of P problems is determined by how often each distinct value comes up, which is multinomial; correctness has
n + 1 values at most, so ten thousand resamples of ten thousand problems are one small matrix product.

Shapes: P problems, R resamples.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 10_000
LEVEL = 0.95


def resampled_means(
    values: Sequence[float], name: str, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """Means of P values drawn with replacement from `values` [P], `resamples` times over.

    Args:
        values: one number per problem.
        name: of the benchmark; two benchmarks are resampled independently.
        resamples: R.
        seed: of the drawing.

    Returns:
        [R].
    """
    levels, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    drawn = generator.multinomial(counts.sum(), counts / counts.sum(), size=resamples)
    means: NDArray[np.float64] = drawn @ levels / counts.sum()
    return means


def interval(means: NDArray[np.float64], level: float = LEVEL) -> tuple[float, float]:
    """The percentile interval that holds `level` of the resampled means [R]."""
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def wilson(successes: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval of a success rate, of n ≥ 1 independent trials."""
    found = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def difference(a: int, n: int, b: int, m: int, level: float = LEVEL) -> tuple[float, float, float]:
    """a/n − b/m with Newcombe's interval, which is made of Wilson's of the two rates: difference, low, high."""
    p, q = a / n, b / m
    (low_p, high_p), (low_q, high_q) = wilson(a, n, level), wilson(b, m, level)
    below, above = np.hypot(p - low_p, high_q - q), np.hypot(high_p - p, q - low_q)
    return p - q, p - q - float(below), p - q + float(above)
