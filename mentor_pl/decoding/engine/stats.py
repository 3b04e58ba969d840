"""What decoding cost: counts and seconds of one call of a sampler, which add up over calls."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class DecodeStats:
    """Counts of one call.

    Attributes:
        tokens: response tokens that stand at the end.
        policy_forwards: one-token forwards of the policy, each over all rows being decoded.
        graphed: those of them that replayed a CUDA graph.
        policy_tokens: rows of those forwards, added up.
        guessed: tokens that were fed before they were drafted, as n-grams guess them.
        guessed_right: those of them that were drafted.
        preempted: rollouts that gave up their pages and were read again later.
        idle: those of the rows that were fed for a row that had ended or waited for the expert.
        rolled_back: drafted tokens that were rolled back behind a replaced one.
        prefill_tokens: prompt tokens read by policy and expert, once per prompt where its rollouts share it; the expert
            begins with the prompts of its first call.
        expert_prefill_tokens: those of them that the expert read.
        expert_calls: packed forwards of the expert.
        expert_tokens: tokens read in them.
        scored_positions: places at which its distribution was evaluated.
        expert_rows: rows that took part, added up over calls.
        padding: places of the attention of those chunks that held no token.
        seconds: part of the work -> wall time.
    """

    tokens: int = 0
    policy_forwards: int = 0
    graphed: int = 0
    policy_tokens: int = 0
    guessed: int = 0
    guessed_right: int = 0
    preempted: int = 0
    idle: int = 0
    rolled_back: int = 0
    prefill_tokens: int = 0
    expert_prefill_tokens: int = 0
    expert_calls: int = 0
    expert_tokens: int = 0
    scored_positions: int = 0
    expert_rows: int = 0
    padding: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def __add__(self, other: DecodeStats) -> DecodeStats:
        counts = {name: count + getattr(other, name) for name, count in self.counts().items()}
        parts = {*self.seconds, *other.seconds}
        return DecodeStats(
            **counts, seconds={part: self.seconds.get(part, 0.0) + other.seconds.get(part, 0.0) for part in parts}
        )

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the seconds spent inside to `part`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - started

    def counts(self) -> dict[str, int]:
        """Every count, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "seconds"}

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> DecodeStats:
        """The statistics with these counts."""
        named: dict[str, Any] = dict(counts)
        return cls(**named)

    def rates(self) -> dict[str, float]:
        """Every count but `tokens`, divided by it; `graphed` is a share of the policy's forwards."""
        rates = {name: count / max(1, self.tokens) for name, count in self.counts().items() if name != "tokens"}
        return rates | {"graphed": self.graphed / max(1, self.policy_forwards)}
