"""How tokens are drawn: temperature, filters, maximum length."""

from __future__ import annotations

from dataclasses import dataclass

from mentor_pl.runtime.errors import UsageError


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
        if not self.temperature >= 0:
            raise UsageError(f"sampling temperature is {self.temperature}: give 0 (greedy) or a positive number")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"sampling top_p is {self.top_p}, but it is a share of mass in (0, 1]: 1 is off")
        if self.top_k < 0:
            raise UsageError(f"sampling top_k is {self.top_k}, but it counts tokens: 0 is off")
        if self.max_new_tokens < 1:
            raise UsageError(f"sampling max_new_tokens is {self.max_new_tokens}: give at least 1")
