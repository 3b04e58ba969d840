"""Naive decoding from the mixture: both models read every token, at every step."""

from __future__ import annotations

from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.engine.sampler import BatchedSampler


class Naive(BatchedSampler):
    """Samples from π_mix token by token; the yardstick of the other two.

    Its arguments are those of `BatchedSampler`.
    """

    def guidance(self, blend: Blend) -> Guidance:
        return Guidance(blend, every=True, rule=blend.settle, schedule=FixedK(1))
