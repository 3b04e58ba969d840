"""How the expert takes part in a call of a sampler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from mentor_pl.decoding.lookahead import Schedule
from mentor_pl.gates import Gate

# (log π_θ [F, V], log π* [F, V], drafts [F], w [F], coins [F], noise [F, V]) -> ids [F], replaced [F] bool
Decision = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Guidance:
    """Gate, rule and schedule of mixed-policy rollouts.

    Attributes:
        gate: the expert's weight at each token.
        every: whether every draft must answer to the expert, or the guided ones alone.
        decide: what becomes of a draft that must.
        schedule: when the expert is called.
    """

    gate: Gate
    every: bool
    decide: Decision
    schedule: Schedule
