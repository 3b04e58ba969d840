"""When the expert is asked: w_t = min(1, H_t / γ_p), γ_p the p-quantile of the on-policy entropies. Equation [6].

Departures from the paper, all off by default: `source: previous` takes γ_p from the rollouts of the step before and
`floor` bounds it from below, as the authors' released code does (there: previous, 1.5). Gates that are not the paper's
have files of their own.

Shapes: A drafts, F drafts that the expert has read, V vocabulary.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from mentor_pl.runtime.ranges import check
from mentor_pl.types import Rollouts

NO_GUIDANCE = math.inf


@dataclass(frozen=True)
class Drafted:
    """What the policy alone tells of A drafts."""

    entropies: Tensor  # [A] float32, H in nats
    positions: Tensor  # [A] int64, the token's place among those sampled
    keys: Tensor  # [A] int64, noise key of its rollout


@dataclass(frozen=True)
class Scored(Drafted):
    """What is known of F drafts once the expert has read them."""

    policy: Tensor  # [F, V] log π_θ
    expert: Tensor  # [F, V] log π*
    margins: Tensor  # [F] float32, difference of the policy's two greatest probabilities
    divergences: Tensor  # [F] float32, KL(π* ‖ π_θ) in nats


class Gate(ABC):
    """Maps drafts to weights of the expert in π_mix = (1 − w)π_θ + wπ*.

    Attributes:
        needs_expert: whether it weighs `Scored` drafts, so that the expert must read every token, or `Drafted` ones.
        needs_rollouts: whether it must observe a step's on-policy rollouts before it weighs drafts of the same step;
            where it need not, a step samples both kinds together.
    """

    needs_expert: bool = False
    needs_rollouts: bool = True

    @property
    def gamma(self) -> float:
        """The entropy at and above which a token is the expert's alone; infinite for a gate without such a bound."""
        return NO_GUIDANCE

    def observe(self, entropies: Sequence[Tensor]) -> None:  # noqa: B027 (a gate need not learn)
        """Take in the entropies (nats) of this step's on-policy response tokens, a tensor for each rank.

        Called before the step's mixture rollouts where the gate `needs_rollouts`, and after them otherwise.
        """

    def learn(self, rollouts: Rollouts) -> None:  # noqa: B027 (likewise)
        """Learn from a step's graded rollouts; called on every rank."""

    @abstractmethod
    def __call__(self, drafts: Any) -> Tensor:
        """Weights w in [0, 1], [A] of `Drafted` or [F] of `Scored` ones."""

    def state_dict(self) -> dict[str, Any]:
        """What must survive in a checkpoint."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027 (likewise)
        """Restore what `state_dict` returned."""


def quantile(values: Tensor, p: float) -> float:
    """The p-quantile with linear interpolation, for any number of values (`torch.quantile` stops at 16 million).

    Raises:
        ValueError: for no values at all.
    """
    if values.numel() == 0:
        raise ValueError("the quantile of no values is undefined")
    values = values.detach().flatten().double()
    place = p * (values.numel() - 1)
    low = math.floor(place)
    below, above = (values.kthvalue(min(k, values.numel())).values for k in (low + 1, low + 2))  # k counts from 1
    return float(torch.lerp(below, above, place - low))


class EntropyGate(Gate):
    """w_t = min(1, H_t / γ_p), γ_p the p-quantile of the batch's on-policy token entropies. Equation [6].

    Args:
        p: which quantile γ_p is, strictly between 0 and 1. Higher asks the expert less.
        source: `current` takes γ_p from this step's on-policy rollouts, `previous` from those of the step before
            (and 999, that is no guidance, at the first step).
        floor: γ_p is never below this, in nats.
        ranks: `pooled` takes the quantile of all ranks' tokens, `mean` the mean of the ranks' own quantiles.

    Raises:
        UsageError: for p outside (0, 1) or a negative floor.
    """

    def __init__(
        self,
        p: float = 0.95,
        source: Literal["current", "previous"] = "current",
        floor: float = 0.0,
        ranks: Literal["pooled", "mean"] = "pooled",
    ) -> None:
        check(
            "gate p", p, above=0, below=1, because="a quantile lies strictly between 0 and 1", otherwise="such as 0.95"
        )
        check("gate floor", floor, at_least=0, because="entropies, in nats, are never negative")
        self.p, self.source, self.floor, self.ranks = p, source, floor, ranks
        self.needs_rollouts = source == "current"
        self._gamma = NO_GUIDANCE if self.needs_rollouts else 999.0  # the authors' code: the first step is unguided

    @property
    def gamma(self) -> float:
        return self._gamma

    def observe(self, entropies: Sequence[Tensor]) -> None:
        parts = [torch.cat(list(entropies))] if self.ranks == "pooled" else [part for part in entropies if len(part)]
        self._gamma = max(sum(quantile(part, self.p) for part in parts) / len(parts), self.floor)

    def __call__(self, drafts: Drafted) -> Tensor:
        if self._gamma == 0:  # most of the batch is certain: whatever is not, is above the quantile
            return (drafts.entropies > 0).to(drafts.entropies.dtype)
        return (drafts.entropies / self._gamma).clamp(0, 1)

    def state_dict(self) -> dict[str, Any]:
        return {"gamma": self._gamma}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._gamma = float(state["gamma"])


class ConstantGate(Gate):
    """The same weight for every token: 0 is the policy alone, 1 the expert alone.

    Raises:
        UsageError: for a weight outside [0, 1].
    """

    needs_rollouts = False

    def __init__(self, weight: float = 0.1) -> None:
        check("gate weight", weight, at_least=0, at_most=1, because="a share lies between 0 and 1")
        self.weight = weight

    def __call__(self, drafts: Drafted) -> Tensor:
        return torch.full_like(drafts.entropies, self.weight)
