"""Algorithm 1 of the paper, as printed: equations [6]–[8].

The policy drafts K tokens, the expert scores them all in one parallel forward; token y is accepted with probability
min(1, π_mix(y) / π_θ(y)), and at the first rejection redrawn from the normalised positive part of π_mix − π_θ. There is
no bonus token when all K are accepted.
"""

from __future__ import annotations

from typing import Any

from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.engine.sampler import BatchedSampler


class Algorithm1(BatchedSampler):
    """Samples from π_mix by speculative drafts of the policy, every one of which the expert scores.

    Args:
        k: K, tokens drafted between two calls of the expert.
        options: those of `BatchedSampler`, by name.

    Raises:
        UsageError: for fewer than one draft, row or place.
    """

    def __init__(self, k: int = 4, **options: Any) -> None:
        super().__init__(**options)
        self.schedule = FixedK(k)

    def guidance(self, blend: Blend) -> Guidance:
        return Guidance(blend, every=True, rule=blend.accept, schedule=self.schedule)
