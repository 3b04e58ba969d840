"""Guidance where expert and policy disagree: w_t = min(1, KL(π* ‖ π_θ) / κ).

The entropy tells where the policy is unsure; the divergence tells where it is wrong by the expert's lights, sure of it
or not. It costs the expert's reading of every token.
"""

from __future__ import annotations

from torch import Tensor

from mentor_pl.algorithms.parts.gates import Gate, Scored
from mentor_pl.runtime.ranges import check


class KLGate(Gate):
    """Weighs drafts by KL(π* ‖ π_θ).

    Args:
        kappa: κ, the divergence in nats at and above which a token is the expert's alone. Higher asks the expert less.

    Raises:
        UsageError: for κ that is not positive.
    """

    needs_expert, needs_rollouts = True, False

    def __init__(self, kappa: float = 1.0) -> None:
        check("gate kappa", kappa, above=0, because="divergences, in nats, are divided by it")
        self.kappa = kappa

    def __call__(self, drafts: Scored) -> Tensor:
        return (drafts.divergences / self.kappa).clamp(max=1)
