"""The coin sampler: Algorithm 1 evaluated lazily.

w_t depends on the policy alone, so a coin z_t ~ Bernoulli(w_t) is flipped when a token is drafted. Tails: the draft
stands, and no expert is consulted. Heads (a guided token): the token must be a draw from π*, so the draft is kept with
probability min(1, π*(y) / π_θ(y)) and else redrawn from the normalised positive part of π* − π_θ. The marginal is
(1 − w) π_θ + w π* = π_mix, and the probability of losing a draft is w·TV(π*, π_θ), as in Algorithm 1; but which tokens
need the expert is known beforehand. Rows draft on past guided tokens, and the expert reads a row only while one waits.
"""

from __future__ import annotations

from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.lookahead import FixedK, LookaheadSchedule
from mentor_pl.decoding.engine.sampler import BatchedSampler


class Coin(BatchedSampler):
    """Samples from π_mix by coin flips; the fastest of the three samplers.

    Args:
        schedule: when the expert is called; by default every K draft steps, K from measured timings.
        rows: rollouts decoded at a time, at most.
        cache_tokens: places of each model's KV cache, over all rows; more rows than fit wait. By default from
            the memory that is free.
        page_tokens: places of a page; by default 256 on a GPU, and as many as a row has elsewhere.
        ngram_rows: rows in use up to which the next tokens are guessed from what was said; 0 guesses none.
        cuda_graphs: replay recorded steps on a GPU.

    Raises:
        UsageError: for fewer than one row or one place.
    """

    def __init__(
        self,
        schedule: LookaheadSchedule | None = None,
        rows: int = 256,
        cache_tokens: int | None = None,
        page_tokens: int | None = None,
        ngram_rows: int = 0,
        cuda_graphs: bool = True,
    ) -> None:
        super().__init__(rows, cache_tokens, page_tokens, ngram_rows, cuda_graphs)
        self.schedule = schedule if schedule is not None else FixedK()

    def guidance(self, blend: Blend) -> Guidance:
        return Guidance(blend, every=not blend.lazy, rule=blend.settle, schedule=self.schedule)
