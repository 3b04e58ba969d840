"""A term over the rollouts of one origin alone, such as the likelihood of demonstrations beside a surrogate."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs, LossOutputs, Term, Tokens
from mentor_pl.types import Origin

T = TypeVar("T", bound=Tokens)


class Only(Term):
    """`term` as if there were no other rollouts: neither its sum nor its weight counts them.

    Args:
        term: what is minimised.
        origin: over which rollouts.
    """

    def __init__(self, term: Term, origin: Origin) -> None:
        self.term, self.origin = term, origin
        self.name, self.coefficient, self.needs = term.name, term.coefficient, term.needs
        self.skips_zero_advantage, self.clip_range = term.skips_zero_advantage, term.clip_range

    def strength(self, alpha: float) -> float:
        return self.term.strength(alpha)

    def _ours(self, tokens: T) -> T:
        return replace(tokens, mask=tokens.mask & (tokens.origin == self.origin)[:, None])

    def learns(self, tokens: Tokens) -> Tensor:
        return self.term.learns(self._ours(tokens))

    def weight(self, tokens: Tokens) -> Tensor:
        return self.term.weight(self._ours(tokens))

    def __call__(self, batch: LossInputs) -> LossOutputs:
        return self.term(self._ours(batch))
