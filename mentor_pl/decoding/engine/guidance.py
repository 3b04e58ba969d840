"""How a sampler executes a blend: which drafts answer to the expert, by which rule, and when the expert is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.decoding.engine.lookahead import LookaheadSchedule

# (log π_θ [F, V], log π* [F, V], drafts [F], w [F], coins [F]) -> fallen [F] bool, residual [F, V]
Rule = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Guidance:
    """A blend on its way through the engine.

    Attributes:
        blend: the law of the rows.
        every: whether every draft must answer to the expert, or the guided ones alone.
        rule: by which a draft that must stands or falls; one of the blend's.
        schedule: when the expert is called.
    """

    blend: Blend
    every: bool
    rule: Rule
    schedule: LookaheadSchedule
