"""A gate that learns which replaced tokens led to success.

    w_t = clamp(g_t · 2σ(b · x_t), 0, 1),   g_t another gate's weight, x_t = (H, margin, KL(π* ‖ π_θ), 1) standardised

b = 0 at the start, and 2σ(0) = 1: it *is* the other gate until something was learned, and b then tells where to trust
it more (up to twice its weight) or less. b is fitted by logistic regression to the replaced tokens of mixture rows: 1
where the rollout's reward exceeds the mean of its group's policy rows, else 0. A step's tokens are a new sample, so b
takes a part of one Newton step on them, with ridge λ and rate ρ:

    b ← b + ρ (Σ s(1 − s) x xᵀ + λ I)⁻¹ (Σ (y − s) x − λ b),   s = σ(b · x)

x has mean 0 and standard deviation 1 over all tokens learned from so far. Sums run over all ranks, in float64. A token
shares its label with its rollout: what is learned is which kind of guidance goes with success, not what caused it.

Shapes: n replaced tokens, F drafts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.advantages import improvement
from mentor_pl.algorithms.parts.gates import EntropyGate, Gate, Scored
from mentor_pl.runtime.collectives import all_sum
from mentor_pl.runtime.ranges import check
from mentor_pl.types import Origin, Rollouts

MAX_DIVERGENCE = 20.0  # nats; where filters make it infinite, more would drown all else


def _features(entropies: Tensor, margins: Tensor, divergences: Tensor) -> list[Tensor]:
    return [values.double() for values in (entropies, margins, divergences.clamp(max=MAX_DIVERGENCE))]


class LearnedGate(Gate):
    """Another gate, corrected by what was learned.

    Args:
        gate: the other gate; by default `EntropyGate`.
        rate: ρ, part of a Newton step that one step of training takes.
        ridge: λ, in tokens: with so few, b stays near 0.

    Raises:
        UsageError: for a rate outside (0, 1] or a ridge that is not positive.
    """

    needs_expert = True

    def __init__(self, gate: Gate | None = None, rate: float = 0.1, ridge: float = 10.0) -> None:
        check("gate rate", rate, above=0, at_most=1, because="it is a part of a Newton step")
        check("gate ridge", ridge, above=0, because="without it nothing bounds what few tokens teach")
        self.gate = gate if gate is not None else EntropyGate()
        self.needs_rollouts = self.gate.needs_rollouts
        self.rate, self.ridge = rate, ridge
        self.b = torch.zeros(4, dtype=torch.float64)
        self.moments = torch.zeros(3, 3, dtype=torch.float64)  # counts, Σ x, Σ x² of the three features

    @property
    def gamma(self) -> float:
        return self.gate.gamma

    def observe(self, entropies: Sequence[Tensor]) -> None:
        self.gate.observe(entropies)

    def __call__(self, drafts: Scored) -> Tensor:
        features = self._standardised(_features(drafts.entropies, drafts.margins, drafts.divergences))
        score = sum(b * x for b, x in zip(self.b.tolist(), features, strict=True))
        return (self.gate(drafts) * (2 * torch.sigmoid(score)).float()).clamp(0, 1)

    def _standardised(self, features: Sequence[Tensor]) -> list[Tensor]:
        """x: [n] each, with the 1 at the end."""
        count, first, second = self.moments.unbind()
        mean = first / count.clamp(min=1)
        scale = (second / count.clamp(min=1) - mean.square()).clamp(min=0).sqrt()
        scale = scale.where(scale > 1e-6, 1)  # what does not vary
        each = zip(features, mean.tolist(), scale.tolist(), strict=True)
        return [*((x - m) / s for x, m, s in each), torch.ones_like(features[0])]

    def learn(self, rollouts: Rollouts) -> None:
        assert rollouts.margins is not None
        assert rollouts.divergences is not None
        mixed = rollouts.origin == Origin.MIXTURE
        judged = mixed & torch.isin(rollouts.group, rollouts.group[~mixed])  # rows that have policy rows beside them
        tokens = rollouts.replaced & judged[:, None]  # [N, T]
        columns = rollouts.entropies, rollouts.margins, rollouts.divergences
        features = _features(*(column[tokens] for column in columns))
        success = improvement(rollouts.rewards, rollouts.group, baseline=~mixed) > 0  # [N]
        labels = success[:, None].expand_as(tokens)[tokens].double()  # [n]
        known = torch.stack(features)  # [3, n]
        sums = torch.stack([torch.ones_like(known), known, known.square()]).sum(-1)  # [3, 3]
        new = all_sum(sums).cpu()
        if not new.any():  # no token was replaced on any rank
            return
        self.moments = self.moments + new
        x = torch.stack(self._standardised(features))  # [4, n]
        s = torch.sigmoid(self.b.to(x.device) @ x)
        curvature, gradient = (x * (s * (1 - s))) @ x.T, x @ (labels - s)
        whole = all_sum(torch.cat([curvature, gradient[:, None]], 1)).cpu()  # [4, 5]
        curvature = whole[:, :4] + self.ridge * torch.eye(4, dtype=torch.float64)
        self.b = self.b + self.rate * torch.linalg.solve(curvature, whole[:, 4] - self.ridge * self.b)

    def state_dict(self) -> dict[str, Any]:
        return {"b": self.b, "moments": self.moments, "gate": self.gate.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.b, self.moments = state["b"].cpu(), state["moments"].cpu()
        self.gate.load_state_dict(state["gate"])
