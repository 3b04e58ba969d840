"""What a mixture row is drawn from: the law of a blend of policy and expert, as functions of tensors.

    GatedMixture       μ = (1 − w) π_θ + w π*,  w a gate's weight [6]–[8]
    TopKRescue         μ = π_θ within the expert's K likeliest tokens, and what mass lies outside goes to π*
    GeometricBudget    μ ∝ π_θ^{1−β} π*^β,  β as great as KL(μ ‖ π_θ) ≤ ε allows

The first is below, the others have files of their own. A draft y comes from π_θ. Told by the policy alone, it must
answer to the expert where its coin v, uniform on (0, 1], is at most `weights`; a draft that must answer stands or falls
by a rule, and what falls is redrawn from that rule's residual. Any μ is met exactly by Algorithm 1's rule: y stands
with probability min(1, μ(y) / π_θ(y)), else a token is drawn from (μ − π_θ)⁺. Samplers (`mentor_pl.decoding`) execute a
blend; the law knows nothing of caches and schedules.

Shapes: A rows that draft, F drafts that answer, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.gates import NO_GUIDANCE, Drafted, Gate, Scored

MIN_RESIDUAL = 1e-6  # a residual with less mass than this is rounding: the draft stands


class Blend(ABC):
    """The law of a mixture row.

    Attributes:
        lazy: whether the policy alone tells which drafts stand without the expert's word: those whose coin exceeds
            their weight. Otherwise every draft must answer, whatever its coin.
    """

    lazy: bool = False

    @property
    def gamma(self) -> float:
        """The entropy at and above which a token is the expert's alone; infinite for a law without such a bound."""
        return NO_GUIDANCE

    def weights(self, drafts: Drafted) -> Tensor:
        """The expert's share w at each draft, [A] in [0, 1]; a law that is not lazy knows it once the expert has read
        them."""
        return torch.zeros_like(drafts.entropies)

    def informed(self, drafts: Scored) -> Tensor:
        """The expert's share w, [F], of a law that is not lazy."""
        raise NotImplementedError

    @abstractmethod
    def mixture(self, policy: Tensor, expert: Tensor, weights: Tensor) -> Tensor:
        """The law itself: μ [F, V] from π_θ and π* [F, V], probabilities all, and w [F]."""

    def accept(
        self, policy: Tensor, expert: Tensor, draft: Tensor, weights: Tensor, coin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Algorithm 1's rule: accept y with probability min(1, μ(y) / π_θ(y)), else redraw from (μ − π_θ)⁺.

        The draft falls where 1 − v exceeds the ratio, so that a rule with a coin of its own comes to the same token.

        Args:
            policy: [F, V] log π_θ.
            expert: [F, V] log π*.
            draft: [F] ids drawn from π_θ.
            weights: [F] w.
            coin: [F] v, uniform on (0, 1].

        Returns:
            [F] bool, whether the draft falls; and [F, V] weights ∝ the distribution of what takes its place.
        """
        p = policy.exp()
        mixture = self.mixture(p, expert.exp(), weights)
        chosen = draft[:, None]
        ratio = (mixture.gather(1, chosen) / p.gather(1, chosen)).squeeze(1).clamp(max=1)  # [F]
        residual = (mixture - p).clamp(min=0)
        return (coin <= 1 - ratio) & (residual.sum(-1) > MIN_RESIDUAL * weights), residual

    def settle(
        self, policy: Tensor, expert: Tensor, draft: Tensor, weights: Tensor, coin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The blend's own rule for drafts that must answer, by default `accept`; arguments and results are the same."""
        return self.accept(policy, expert, draft, weights, coin)

    def guided(self, fell: Tensor, weights: Tensor, coin: Tensor) -> Tensor:
        """Which of the drafts that answered are the expert's, [F] bool: those whose coin came up where the law is split
        at the coin, else those that fell."""
        return coin <= weights if self.lazy else fell

    def state_dict(self) -> dict[str, Any]:
        """What must survive in a checkpoint."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027 (a law need not change)
        """Restore what `state_dict` returned."""


class GatedMixture(Blend):
    """π_mix = (1 − w) π_θ + w π*, w = gate(H): equations [6]–[8].

    Since π_mix − π_θ = w (π* − π_θ), Algorithm 1 can be split at the coin: with v > w the draft stands, and with v ≤ w
    (a *guided* token) the token must be a draw from π*, so y falls where v ≤ w·(1 − min(1, π*(y) / π_θ(y))) and is
    redrawn from (π* − π_θ)⁺. The marginal is π_mix exactly.

    Args:
        gate: the weights.
    """

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.lazy = not gate.needs_expert

    @property
    def gamma(self) -> float:
        return self.gate.gamma

    def weights(self, drafts: Drafted) -> Tensor:
        return self.gate(drafts) if self.lazy else super().weights(drafts)

    def informed(self, drafts: Scored) -> Tensor:
        return self.gate(drafts)

    def mixture(self, policy: Tensor, expert: Tensor, weights: Tensor) -> Tensor:
        w = weights[:, None]
        return (1 - w) * policy + w * expert

    def settle(
        self, policy: Tensor, expert: Tensor, draft: Tensor, weights: Tensor, coin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A guided draft becomes a draw from π*, every other draft stands."""
        chosen = draft[:, None]
        ratio = (expert.gather(1, chosen) - policy.gather(1, chosen)).squeeze(1).exp().clamp(max=1)  # [F]
        residual = (expert.exp() - policy.exp()).clamp(min=0)  # [F, V]
        return (coin <= weights * (1 - ratio)) & (residual.sum(-1) > MIN_RESIDUAL), residual

    def guided(self, fell: Tensor, weights: Tensor, coin: Tensor) -> Tensor:
        return coin <= weights

    def state_dict(self) -> dict[str, Any]:
        return self.gate.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.gate.load_state_dict(state)
