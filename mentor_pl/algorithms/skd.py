"""SKD, speculative knowledge distillation: the policy's rollouts, put right by the expert where it strays.

    y_t ~ π_θ, kept where it is among the K tokens likeliest to π*, else drawn anew from π*
    loss = mean over tokens of KL(π* ‖ π_θ) at the prefixes of those rollouts, over the whole vocabulary

Source: arXiv 2410.11325, of which a summary was known; the law and its exactness are derived in
`mentor_pl.algorithms.parts.top_k_rescue`. Taken here: the forward KL, K = 25, and a mean over all tokens of the
mini-batch. The reward is measured and not learned from. With K = V it is distillation on the policy's own rollouts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mentor_pl.algorithms.base import Algorithm, Rounds, Step, mixture_rows
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.losses.divergence import Divergence
from mentor_pl.algorithms.parts.top_k_rescue import TopKRescue
from mentor_pl.runtime.ranges import MAX_GROUP, check
from mentor_pl.types import Rollouts


class SKD(Algorithm):
    """Speculative knowledge distillation.

    Args:
        group_size: rollouts of each problem.
        k: K, how many of the expert's likeliest tokens let a draft stand.
        loss: by default `Divergence` of kind `forward`.

    Raises:
        UsageError: for a group or a K below 1.
    """

    def __init__(self, group_size: int = 8, k: int = 25, loss: Term | None = None) -> None:
        check("algorithm group_size", group_size, at_least=1, at_most=MAX_GROUP, because="it counts rollouts")
        self.group_size = group_size
        self.blend = TopKRescue(k)
        self.loss = loss if loss is not None else Divergence("forward")

    def rounds(self, step: Step) -> Rounds:
        yield mixture_rows(step.prompts, self.group_size)

    def advantages(self, rollouts: Rollouts) -> Tensor:
        return torch.zeros_like(rollouts.rewards)

    def terms(self) -> Sequence[Term]:
        return [self.loss]
