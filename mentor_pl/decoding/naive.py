"""Naive decoding from the mixture: both models read every token, at every step."""

from __future__ import annotations

from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.engine.sampler import BatchedSampler


class Naive(BatchedSampler):
    """Samples from π_mix token by token; the yardstick of the other two.

    Args:
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
        rows: int = 256,
        cache_tokens: int | None = None,
        page_tokens: int | None = None,
        ngram_rows: int = 0,
        cuda_graphs: bool = True,
    ) -> None:
        super().__init__(rows, cache_tokens, page_tokens, ngram_rows, cuda_graphs)

    def guidance(self, blend: Blend) -> Guidance:
        return Guidance(blend, every=True, rule=blend.settle, schedule=FixedK(1))
