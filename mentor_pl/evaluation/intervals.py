"""Bootstrap confidence intervals over problems: how far a mean moves when the problems are drawn again.

A resample of P problems is determined by how often each distinct value comes up, which is multinomial; correctness has
n + 1 values at most, so ten thousand resamples of ten thousand problems are one small matrix product.

Shapes: P problems, R resamples.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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
