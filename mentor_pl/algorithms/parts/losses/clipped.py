"""The clipped surrogate [9]: −min(r·Â, clip(r, 1 − ε_low, 1 + ε_high)·Â), r = π_θ(y_t) / π_old(y_t).

r is taken against the policy that drafted, for mixed-policy rollouts too, not against π_mix. ε is asymmetric by default
(clip-higher, the paper's Appendix B). `dual_clip: 3.0` also bounds the loss of negative advantages, as the authors'
code does. The mean runs over all response tokens of the mini-batch; `aggregation: sequence` first takes the mean of
each rollout, and `constant` divides by the rollouts times the maximum length of a response (Dr. GRPO, arXiv
2503.20783), so that a long rollout weighs no less than a short one. `ratio: mixture` takes π_mix(y_t) in place of
π_old(y_t) where a token was drawn from a mixture of weight w_t; π* is read after temperature alone, so under top_p or
top_k it is not quite the law that drew.

Shapes: B rollouts, T response tokens.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs, LossOutputs, Need, Term, Tokens
from mentor_pl.runtime.ranges import check

# e^20 is far outside any clip range: the bound only keeps inf · 0 = NaN out of tokens that carry no advantage.
MAX_LOG_RATIO = 20.0


class ClippedSurrogate(Term):
    """Equation [9].

    Args:
        clip_low: ε below 1, in (0, 1).
        clip_high: ε above 1, positive.
        dual_clip: bound c > 1 of the loss of a negative advantage, at −c·Â; none by default.
        aggregation: `token` weighs all tokens of the mini-batch alike, `sequence` all rollouts; `constant` is over what
            the rollouts may have at most.
        ratio: what tokens of mixture rollouts are compared with: the `policy` that drafted, or the `mixture`, for which
            the expert reads each rollout once more.

    Raises:
        UsageError: for a bound outside its range.
    """

    name = "surrogate"
    skips_zero_advantage = True

    def __init__(
        self,
        clip_low: float = 0.2,
        clip_high: float = 0.28,
        dual_clip: float | None = None,
        aggregation: Literal["token", "sequence", "constant"] = "token",
        ratio: Literal["policy", "mixture"] = "policy",
    ) -> None:
        check("loss clip_low", clip_low, above=0, below=1, because="the ratio's lower bound 1 − clip_low is in (0, 1)")
        check("loss clip_high", clip_high, above=0, because="the ratio's upper bound 1 + clip_high is above 1")
        check("loss dual_clip", dual_clip, above=1, because="it bounds ratios above 1", otherwise="or null")
        self.clip_low, self.clip_high, self.dual_clip, self.aggregation = clip_low, clip_high, dual_clip, aggregation
        self.clip_range = 1 - clip_low, 1 + clip_high
        self.ratio = ratio
        self.needs = frozenset({Need.EXPERT_LOGPROBS} if ratio == "mixture" else ())

    def weight(self, tokens: Tokens) -> Tensor:
        if self.aggregation == "token":
            return tokens.mask.sum()
        rollouts = tokens.mask.any(-1).sum()
        return rollouts * tokens.max_tokens if self.aggregation == "constant" else rollouts

    def _old_logprobs(self, tokens: Tokens) -> Tensor:
        """What a token's probability is compared with, [B, T]."""
        if self.ratio == "policy":
            return tokens.old_logprobs
        assert tokens.expert_logprobs is not None
        w = tokens.gate_weights
        return torch.logaddexp((1 - w).log() + tokens.old_logprobs, w.log() + tokens.expert_logprobs)

    def __call__(self, batch: LossInputs) -> LossOutputs:
        advantages = batch.advantages  # [B, T]
        log_ratio = (batch.logprobs - self._old_logprobs(batch)).clamp(max=MAX_LOG_RATIO)
        ratio = log_ratio.exp()  # [B, T]
        clipped = ratio.clamp(1 - self.clip_low, 1 + self.clip_high)
        losses = torch.maximum(-ratio * advantages, -clipped * advantages)  # [B, T]
        if self.dual_clip is not None:
            losses = torch.where(advantages < 0, torch.minimum(losses, -self.dual_clip * advantages), losses)
        losses = losses * batch.mask
        if self.aggregation == "sequence":
            losses = losses / batch.mask.sum(-1, keepdim=True).clamp(min=1)
        with torch.no_grad():
            bound = ((ratio * advantages) > (clipped * advantages)) & batch.mask
            sums = {
                "clipped": bound.sum(),
                "kl": ((ratio - 1 - log_ratio) * batch.mask).sum(),  # Schulman's k3 estimate of KL(π_old ‖ π_θ)
            }
        return LossOutputs(losses.sum(), sums)
