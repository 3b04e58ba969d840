"""What keeps the policy near the one that the run started from: an estimate of KL(π_θ ‖ π_ref) at each token.

    δ = log π_ref(y_t) − log π_θ(y_t)
    k1 = −δ               unbiased; gradient ∇log π_θ, whose mean over y ~ π_θ is 0: it moves nothing but noise
    k2 = δ² / 2           biased; gradient −δ ∇log π_θ, whose mean is that of KL(π_θ ‖ π_ref)
    k3 = e^δ − 1 − δ      unbiased, never negative; gradient (1 − e^δ) ∇log π_θ, whose mean is that of KL(π_ref ‖ π_θ)

Source: J. Schulman, "Approximating KL divergence" (2020). The means hold for tokens drawn from π_θ as it is: behind the
first optimizer step of a batch, on mixture rows and on given tokens the term is a pull towards π_ref and no estimate.
Departure: δ is bounded by 20, since e^δ overflows.

Shapes: B rollouts, T response tokens.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs, Need
from mentor_pl.algorithms.parts.losses.token_mean import TokenMean
from mentor_pl.runtime.errors import UsageError

MAX_LOG_RATIO = 20.0


class ReferenceKL(TokenMean):
    """The mean of an estimate over all tokens that are trained on.

    Args:
        coefficient: what the term counts for; 0 asks no reference.
        estimator: `k1`, `k2` or `k3`.

    Raises:
        UsageError: for a negative coefficient or another estimator.
    """

    name = "reference_kl"
    needs = frozenset({Need.REFERENCE_LOGPROBS})

    def __init__(self, coefficient: float = 0.001, estimator: Literal["k1", "k2", "k3"] = "k3") -> None:
        super().__init__(coefficient)
        if estimator not in ("k1", "k2", "k3"):
            raise UsageError(f"reference KL estimator is {estimator!r}: give k1, k2 or k3")
        self.estimator = estimator

    def values(self, batch: LossInputs) -> Tensor:
        assert batch.reference_logprobs is not None
        delta = (batch.reference_logprobs - batch.logprobs).clamp(max=MAX_LOG_RATIO)  # [B, T]
        if self.estimator == "k1":
            return -delta
        return delta.square() / 2 if self.estimator == "k2" else delta.exp() - 1 - delta
