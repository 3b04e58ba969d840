"""Guidance where a token of the expert's own is worth more than one of the policy's: w_t = min(1, max(0, gain) / κ).

    gain = E_{v ~ π*}[log π*(v)] − E_{v ~ π_θ}[log π*(v)] = Σ_v (π*(v) − π_θ(v)) log π*(v)

How much likelier to the expert, in nats, a token of its own is than one of the policy's: since π_mix is linear in w, a
weight w raises the expert's log-likelihood of the token by w·gain on average. In other terms it is H(π_θ) − H(π*) +
KL(π_θ ‖ π*): great where the policy says what the expert would not, and where the expert knows what the policy does
not. It is negative where the policy is sure of the expert's first choice and the expert is not: nothing is to be gained
there, and the policy speaks, though KL(π* ‖ π_θ) may be great. It costs the expert's reading of every token.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.gates import Gate, Scored
from mentor_pl.runtime.ranges import check


class ExpectedGainGate(Gate):
    """Weighs drafts by what the expert's word is expected to gain.

    Args:
        kappa: κ, the gain in nats at and above which a token is the expert's alone. Higher asks the expert less.

    Raises:
        UsageError: for κ that is not positive.
    """

    needs_expert, needs_rollouts = True, False

    def __init__(self, kappa: float = 1.0) -> None:
        check("gate kappa", kappa, above=0, because="gains, in nats, are divided by it")
        self.kappa = kappa

    def __call__(self, drafts: Scored) -> Tensor:
        more = drafts.expert.exp() - drafts.policy.exp()  # [F, V]
        gain = torch.where(more == 0, 0, more * drafts.expert).sum(-1)  # infinite where π* is 0 and π_θ is not
        return (gain / self.kappa).clamp(0, 1)
