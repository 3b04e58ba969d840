"""How much success depends on which token comes next, from n graded continuations behind each of A alternatives.

The alternatives have weights π_a, which add up to 1, and unknown success rates q_a; their means p̂_a over n
continuations vary even if all q_a are equal. What the weighted spread is expected to have of that noise is taken off:

    V = Σ_a π_a (q_a − q̄)²,  q̄ = Σ_a π_a q_a             what is looked for
    V̂ = Σ_a π_a (p̂_a − p̄)² − noise,  p̄ = Σ_a π_a p̂_a      its unbiased estimate, below 0 at times
    noise = Σ_a π_a (1 − π_a) p̂_a (1 − p̂_a) ÷ (n − 1)

for E Σ π p̂² − E p̄² = V + Σ π (1 − π) q (1 − q) ÷ n, and p̂ (1 − p̂) ÷ (n − 1) is unbiased for q (1 − q) ÷ n. Importance
is √max(V̂, 0). The range, max p̂ − min p̂, does not depend on the weights, and keeps its noise.

p is of "all q_a are equal": the place of Σ (k_a − K/A)² among those of K successes dealt at random over the A · n
continuations, a permutation test by 9,999 draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mentor_pl.experiments.statistics.statistics import RESAMPLES


@dataclass(frozen=True)
class Spread:
    """Of success over the alternatives at one place.

    Attributes:
        importance: √max(V̂, 0), in units of the success rate.
        variance: V̂.
        noise: what was taken off.
        range: of the success rates as they were counted.
        p: of no difference; 1 of a single alternative.
    """

    importance: float
    variance: float
    noise: float
    range: float
    p: float


def spread(weights: Sequence[float], successes: Sequence[int], n: int, rng: np.random.Generator) -> Spread:
    """The estimate.

    Args:
        weights: [A] above 0; they are made to add up to 1.
        successes: [A], each of n continuations.
        n: 2 or more.
        rng: of the permutation test.
    """
    pi, k = np.asarray(weights, dtype=np.float64), np.asarray(successes, dtype=np.int64)
    pi, rates, count = pi / pi.sum(), k / n, len(k)
    noise = float((pi * (1 - pi) * rates * (1 - rates)).sum()) / (n - 1)
    variance = float((pi * (rates - pi @ rates) ** 2).sum()) - noise
    total, p = int(k.sum()), 1.0
    if k.min() < k.max():
        dealt = rng.multivariate_hypergeometric([n] * count, total, size=RESAMPLES)
        # Σ (k − K/A)² is Σ k² less what all have in common, and whole numbers are compared without rounding
        p = (1 + int(((dealt**2).sum(1) >= (k**2).sum()).sum())) / (1 + RESAMPLES)
    return Spread(math.sqrt(max(0.0, variance)), variance, noise, float(rates.max() - rates.min()), p)
