"""How tokens are drawn: temperature, filters, maximum length."""

from __future__ import annotations

from dataclasses import dataclass

from mentor_pl.runtime.ranges import check


@dataclass(frozen=True)
class SamplingParams:
    """How tokens are drawn.

    Attributes:
        temperature: divides both models' logits before anything else; 0 is greedy.
        top_p: smallest set of tokens with at least this mass, per model; 1 is off.
        top_k: the k likeliest tokens, per model; 0 is off.
        max_new_tokens: length at which a rollout is truncated.

    Raises:
        UsageError: for a value outside its range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 1024

    def __post_init__(self) -> None:
        if self.temperature != 0:
            divides = "it divides logits"
            check("sampling temperature", self.temperature, at_least=1e-3, because=divides, otherwise="0 is greedy")
        share = "it is a share of mass"
        check("sampling top_p", self.top_p, at_least=1e-6, at_most=1, because=share, otherwise="1 is off")
        check("sampling top_k", self.top_k, at_least=0, because="it counts tokens", otherwise="0 is off")
        check("sampling max_new_tokens", self.max_new_tokens, at_least=1, because="it counts tokens")
