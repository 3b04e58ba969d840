"""On-policy RL (GRPO): G rollouts of the policy itself, compared within their group. Equations [9], [10] of 2510.04140.

    standardised    A = (R − mean(R)) / (std(R) + eps),   unbiased std over the group   [GRPO]
    centred         A = R − mean(R)                                                     [Dr. GRPO, arXiv 2503.20783]
    leave_one_out   A = R − mean of the others' R = G/(G − 1) · (R − mean(R))           [RLOO, arXiv 2402.14740]
    loss = mean over tokens of −min(r A, clip(r, 1 − ε_low, 1 + ε_high) A),   r = π_θ / π_old

The defaults are the paper's (Appendix B): clip-higher, token-level mean, no KL, no entropy bonus. Dr. GRPO also divides
by a constant length (`ClippedSurrogate.aggregation`), GSPO clips whole rollouts (`SequenceSurrogate`), and 80/20 (arXiv
2506.01939) trains on the 20 % of the tokens with the highest entropy; RLOO is published without a clip, which two
updates of one batch need.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from mentor_pl.algorithms.on_policy import OnPolicy
from mentor_pl.algorithms.parts.advantages import centred, standardised
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.token_masks import top_entropy
from mentor_pl.runtime.ranges import check
from mentor_pl.types import Rollouts


class GRPO(OnPolicy):
    """On-policy RL.

    Args:
        group_size: G, rollouts of each problem; at least 2, since each is compared with the others.
        loss: by default `ClippedSurrogate`, equation [9].
        eps: added to the standard deviation.
        advantage: what rewards are compared with.
        top_entropy: share of the response tokens that are trained on, those with the highest entropy.

    Raises:
        UsageError: for a group below 2, a negative eps, or a share out of range.
    """

    def __init__(
        self,
        group_size: int = 8,
        loss: Term | None = None,
        eps: float = 1e-6,
        advantage: Literal["standardised", "centred", "leave_one_out"] = "standardised",
        top_entropy: float = 1.0,
    ) -> None:
        super().__init__(group_size, loss, eps)
        check("algorithm top_entropy", top_entropy, above=0, at_most=1, because="it is a share of the tokens")
        self.advantage, self.top_entropy = advantage, top_entropy

    def advantages(self, rollouts: Rollouts) -> Tensor:
        if self.advantage == "standardised":
            return standardised(rollouts.rewards, rollouts.group, eps=self.eps)
        return centred(rollouts.rewards, rollouts.group, leave_one_out=self.advantage == "leave_one_out")

    def train_mask(self, rollouts: Rollouts) -> Tensor:
        return top_entropy(rollouts.entropies, rollouts.mask, self.top_entropy)
