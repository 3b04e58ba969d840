"""LUFFY's surrogate (arXiv 2504.14945): policy shaping on given tokens, an unclipped ratio on all others.

    sampled tokens   −A · r,      r = π_θ(y_t) / π_old(y_t)
    given tokens     −A · f(p),   f(p) = p / (p + γ),   p = π_θ(y_t)

The probability of a given token under whoever wrote it counts as 1, so f takes p in place of a ratio. As df/d log p is
γ p / (p + γ)², the gradient is greatest at p = γ and not at p = 1: what the policy holds unlikely is learned too. The
sum is divided by the rollouts times the greatest length of a response, so that a token weighs the same in a short
rollout and in a long one.

Shapes: B rollouts, T response tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs, LossOutputs, Term, Tokens
from mentor_pl.algorithms.parts.losses.clipped import MAX_LOG_RATIO
from mentor_pl.runtime.ranges import check


class ShapedSurrogate(Term):
    """Given tokens are shaped, all others follow the plain policy gradient.

    Args:
        shaping: γ, above 0.

    Raises:
        UsageError: for a γ out of range.
    """

    name = "surrogate"
    skips_zero_advantage = True

    def __init__(self, shaping: float = 0.1) -> None:
        check("loss shaping", shaping, above=0, because="at 0 every given token would weigh the same, without gradient")
        self.shaping = shaping

    def weight(self, tokens: Tokens) -> Tensor:
        return tokens.mask.any(-1).sum() * tokens.max_tokens

    def __call__(self, batch: LossInputs) -> LossOutputs:
        log_ratio = (batch.logprobs - batch.old_logprobs).clamp(max=MAX_LOG_RATIO)  # [B, T]
        probability = batch.logprobs.exp()
        gain = torch.where(batch.given, probability / (probability + self.shaping), log_ratio.exp())
        with torch.no_grad():
            kl = (log_ratio.exp() - 1 - log_ratio) * batch.mask  # Schulman's k3 estimate of KL(π_old ‖ π_θ)
        return LossOutputs(-(batch.advantages * gain * batch.mask).sum(), {"kl": kl.sum()})
