"""How far the rollouts that are being sampled have come: whoever samples says so, and whoever shows it listens.

A process samples in one place at a time, so there is one `activity`, as there is one standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Activity:
    """Of this rank.

    Attributes:
        round: of the step's, from 1; 0 while none is sampled.
        rollouts: of the round.
        ended: of these.
        tokens: sampled in the step so far.
    """

    round: int = 0
    rollouts: int = 0
    ended: int = 0
    tokens: int = 0
    listener: Callable[[Activity], None] | None = None

    @contextmanager
    def step(self) -> Iterator[None]:
        """Inside, the rollouts of a step are sampled."""
        self.round = self.rollouts = self.ended = self.tokens = 0
        try:
            yield
        finally:
            self.round = 0

    def begin_round(self, rollouts: int) -> None:
        """So many are to be sampled together."""
        self.round, self.rollouts, self.ended = self.round + 1, rollouts, 0

    def end_rollout(self) -> None:
        """One has ended."""
        self.ended += 1

    def sampled(self, tokens: int) -> None:
        """Rollouts have grown by `tokens`, or shrunk where drafts are rolled back."""
        self.tokens += tokens
        if self.listener is not None and self.round:
            self.listener(self)


activity = Activity()
