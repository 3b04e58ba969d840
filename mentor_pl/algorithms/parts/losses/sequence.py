"""The surrogate of whole rollouts: −min(s·Â, clip(s, 1 − ε_low, 1 + ε_high)·Â), s the geometric mean of the tokens' r.

    s = exp(1/T Σ_t log π_θ(y_t)/π_old(y_t)),   the mean over rollouts   [GSPO, arXiv 2507.18071, (5)–(7)]

Shapes: B rollouts, T response tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs, LossOutputs, Term, Tokens
from mentor_pl.algorithms.parts.losses.clipped import MAX_LOG_RATIO
from mentor_pl.runtime.ranges import check


class SequenceSurrogate(Term):
    """A ratio and a clip for each rollout; its tokens share one advantage, or count by the mean of theirs.

    Args:
        clip_low: ε below 1, in (0, 1). The ratio is a mean, so its range is far smaller than a token's.
        clip_high: ε above 1, positive.

    Raises:
        UsageError: for a bound outside its range.
    """

    name = "surrogate"
    skips_zero_advantage = True

    def __init__(self, clip_low: float = 3e-4, clip_high: float = 4e-4) -> None:
        check("loss clip_low", clip_low, above=0, below=1, because="the ratio's lower bound 1 − clip_low is in (0, 1)")
        check("loss clip_high", clip_high, above=0, because="the ratio's upper bound 1 + clip_high is above 1")
        self.clip_low, self.clip_high = clip_low, clip_high

    def weight(self, tokens: Tokens) -> Tensor:
        return tokens.mask.any(-1).sum()

    def __call__(self, batch: LossInputs) -> LossOutputs:
        counts = batch.mask.sum(-1)  # [B]
        lengths = counts.clamp(min=1)
        # π_old is 0 where the expert says what a filter of the policy's drops, so a product with the mask would be NaN
        log_ratio = (batch.logprobs - batch.old_logprobs).where(batch.mask, 0).sum(-1) / lengths  # [B]
        ratio = log_ratio.clamp(max=MAX_LOG_RATIO).exp()
        advantages = (batch.advantages * batch.mask).sum(-1) / lengths
        clipped = ratio.clamp(1 - self.clip_low, 1 + self.clip_high)
        losses = torch.maximum(-ratio * advantages, -clipped * advantages)
        with torch.no_grad():
            bound = (ratio * advantages) > (clipped * advantages)
        return LossOutputs(losses.sum(), {"clipped": (bound * counts).sum()})
