"""When the expert is called: how far the policy drafts on while drafts wait for the expert's word.

A call costs c_call before it has read a token, so calls should be few; but of what is drafted behind a pending draft,
all is lost if that draft is replaced. With r replacements per token and row, a cycle of K draft steps and one call
keeps E(K) = (1 − (1 − r)^K) / r tokens of a row. A draft step costs c_step, and what it drafts on B rows is read by the
expert at c_token each, so the time per token (K·(c_step + B·c_token) + c_call) / E(K) has its minimum near K* =
√(2·c_call / (r·(c_step + B·c_token))). The law of the tokens does not depend on the schedule, since noise is keyed by
position; in 32-true on one machine, neither do the tokens.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from mentor_pl.decoding.engine.timings import ForwardTimings
from mentor_pl.runtime.ranges import check

MEMORY = 256.0  # drafts after which what was seen counts half: the rows that are left in the end are the slow ones
# before anything is seen: one replacement in 50 drafts, in 5 pending ones; with the weight of 25 drafts
PRIOR_REPLACED, PRIOR_DRAFTS, PRIOR_SCORED = 0.5, 25.0, 2.5
FEW_ROWS = 2  # so few rows seldom wait together: a longer wait saves no call, it only risks drafts


@dataclass
class AcceptanceStats:
    """Running counts of a call of the sampler, in which what is MEMORY drafts past counts half.

    Attributes:
        drafts: tokens drafted.
        scored_positions: pending drafts that the expert has scored.
        replaced: those of them that it has replaced, the first one of a row alone.
    """

    drafts: float = 0.0
    scored_positions: float = 0.0
    replaced: float = 0.0

    def add(self, drafts: int, scored_positions: int, replaced: int) -> None:
        """Count what came between two calls of the expert."""
        left = 0.5 ** (drafts / MEMORY)
        self.drafts = left * self.drafts + drafts
        self.scored_positions = left * self.scored_positions + scored_positions
        self.replaced = left * self.replaced + replaced

    @property
    def replaced_per_draft(self) -> float:
        """r."""
        return (self.replaced + PRIOR_REPLACED) / (self.drafts + PRIOR_DRAFTS)

    @property
    def replaced_per_scored(self) -> float:
        """TV(π*, π_θ) where the expert is asked."""
        return min(1.0, (self.replaced + PRIOR_REPLACED) / (self.scored_positions + PRIOR_SCORED))


@dataclass(frozen=True)
class LookaheadState:
    """How far the rows of a call are ahead of the expert.

    Attributes:
        age: draft steps since the oldest pending draft, that one included; 0 where none is pending.
        pending: [A] int64, drafts of each row that wait for the expert.
        drafting: [A] bool, whether a row can go on; not behind a stop token or the limit.
        acceptance: how often drafts have been replaced recently.
        slowest: tells the replacements per token of the row that has the most, where no rollout waits: the call
            ends when that row does, so its losses count and not the mean's. 0 while others wait for the place of
            what ends.
    """

    age: int
    pending: Tensor
    drafting: Tensor
    acceptance: AcceptanceStats
    slowest: Callable[[], float] = float

    @property
    def replaced_per_draft(self) -> float:
        """r, of the rows that decide how long the call takes."""
        return max(self.acceptance.replaced_per_draft, self.slowest())


class LookaheadSchedule(ABC):
    """Decides after a draft step whether to call the expert.

    Attributes:
        look_ahead: draft steps that a pending draft may wait; a call is forced then.
        stride: draft steps that need no sync in between; on a GPU every sync is a wait.
    """

    look_ahead: int
    stride: int = 1

    def begin(self, rows: int, timings: Callable[[], ForwardTimings]) -> None:  # noqa: B027 (most need neither)
        """A call of the sampler begins.

        Args:
            rows: rollouts decoded at a time.
            timings: measures, or remembers, how long forwards take.
        """

    @abstractmethod
    def due(self, state: LookaheadState) -> bool:
        """Whether the expert is to be called now; asked only while drafts are pending."""


def _call_in_steps(timings: ForwardTimings, rows: int) -> float:
    """c_call / (c_step + B·c_token)."""
    return timings.expert_call / (timings.policy_step + rows * timings.expert_token)


class FixedK(LookaheadSchedule):
    """Calls the expert when a pending draft has waited for K draft steps, itself included.

    Args:
        k: K; by default K* of the cost model, from measured timings and the running rate of replacements.
        max_steps: bound on K*; the policy's logits of so many steps are kept for every row.

    Raises:
        UsageError: for a bound or a K below 1.
    """

    def __init__(self, k: int | None = None, max_steps: int = 8) -> None:
        for name, value in (("k", k), ("max_steps", max_steps)):
            check(f"schedule {name}", value, at_least=1, because="it counts draft steps")
        self.k, self.look_ahead = k, max_steps if k is None else k
        self.age = self.look_ahead  # at the last sync
        self.call_in_steps = 1.0
        self.stride = k if k is not None else 1

    def begin(self, rows: int, timings: Callable[[], ForwardTimings]) -> None:
        if self.k is not None:
            return
        if rows <= FEW_ROWS:
            self.call_in_steps = 0.0
        else:
            self.call_in_steps = _call_in_steps(timings(), rows)
        self.age, self.stride = self.look_ahead, self.best(PRIOR_REPLACED / PRIOR_DRAFTS)

    def best(self, replaced_per_draft: float) -> int:
        """K* for r, between 1 and `max_steps`."""
        best = round(math.sqrt(2 * self.call_in_steps / replaced_per_draft))
        return min(max(best, 1), self.look_ahead)

    def due(self, state: LookaheadState) -> bool:
        if self.k is None and state.age <= self.age:  # a new cycle
            self.stride = self.best(state.replaced_per_draft)
        self.age = state.age
        return state.age >= self.stride


class AnyFlag(FixedK):
    """Calls the expert as soon as a draft is pending."""

    def __init__(self) -> None:
        super().__init__(k=1)


class MarginalValue(LookaheadSchedule):
    """Calls the expert when one more draft step adds less per second than the cycle has earned so far.

    A draft behind n pending ones survives with probability (1 − q)^n, q the running share of pending drafts that are
    replaced. The rule is the marginal value theorem's: go on while what one more step adds, Σ_rows (1 − q)^n tokens, is
    more than the cycle has earned per step so far, its call included.

    Args:
        max_steps: draft steps that a pending draft may wait.

    Raises:
        UsageError: for a bound below 1.
    """

    def __init__(self, max_steps: int = 32) -> None:
        check("schedule max_steps", max_steps, at_least=1, because="it counts draft steps")
        self.look_ahead = max_steps
        self.call_in_steps = 1.0
        self.gained, self.steps = 0.0, 0

    def begin(self, rows: int, timings: Callable[[], ForwardTimings]) -> None:
        self.call_in_steps = _call_in_steps(timings(), rows)
        self.gained, self.steps = 0.0, 0

    def due(self, state: LookaheadState) -> bool:
        q = state.acceptance.replaced_per_scored
        if state.age == 1:  # the first pending draft of a cycle
            self.gained, self.steps = float(len(state.pending)), 1
        next_gain = float(((1 - q) ** state.pending)[state.drafting].sum())
        due = next_gain <= self.gained / (self.call_in_steps + self.steps)
        self.gained, self.steps = self.gained + next_gain, self.steps + 1
        return due
