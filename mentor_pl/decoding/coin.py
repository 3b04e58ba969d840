"""The coin sampler: Algorithm 1 evaluated lazily.

w_t depends on the policy alone, so a coin z_t ~ Bernoulli(w_t) is flipped when a token is drafted. Tails: the draft
stands, and no expert is consulted. Heads (a guided token): the token must be a draw from π*, so the draft is kept with
probability min(1, π*(y) / π_θ(y)) and else redrawn from the normalised positive part of π* − π_θ. The marginal is
(1 − w) π_θ + w π* = π_mix, and the probability of losing a draft is w·TV(π*, π_θ), as in Algorithm 1; but which tokens
need the expert is known beforehand. Rows draft on past guided tokens, and the expert reads a row only while one waits.
"""

from __future__ import annotations

from typing import Any

from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.lookahead import FixedK, LookaheadSchedule
from mentor_pl.decoding.engine.sampler import BatchedSampler


class Coin(BatchedSampler):
    """Samples from π_mix by coin flips; the fastest of the three samplers.

    Args:
        schedule: when the expert is called; by default every K draft steps, K from measured timings.
        options: those of `BatchedSampler`, by name.

    Raises:
        UsageError: for fewer than one row or one place.
    """

    def __init__(self, schedule: LookaheadSchedule | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.schedule = schedule if schedule is not None else FixedK()

    def guidance(self, blend: Blend) -> Guidance:
        return Guidance(blend, every=not blend.lazy, rule=blend.settle, schedule=self.schedule)
