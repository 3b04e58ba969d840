"""On-policy distillation: the policy's own rollouts, pulled towards the expert token by token; no reward is used.

    full    loss = mean over tokens of KL(π_θ ‖ π*) at the visited prefixes, over the whole vocabulary
    drawn   A_t = log π*(y_t) − log π_old(y_t), in the clipped surrogate: the same gradient in expectation, from the
            drawn token alone, so at a far smaller cost of memory and a greater variance

As in Thinking Machines' "On-policy distillation" (2025) and arXiv 2306.13649 (GKD with λ = 1 and reverse KL). `share`
trains on the tokens with the highest entropy alone (TIP, arXiv 2604.14084: 50 %), a quantile over the step's tokens.
Derived from summaries: in `full` the gradient goes through the distribution at each prefix and not through how often a
prefix is visited. Of `drawn`, log π_old is the sampler's; under top_p or top_k that is another law than the one that
learns, unless `model.recompute_logprobs` takes it anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from mentor_pl.algorithms.base import Algorithm, Rounds, Step, policy_rows
from mentor_pl.algorithms.parts.losses.base import Need, Term
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.algorithms.parts.losses.divergence import Divergence
from mentor_pl.algorithms.parts.token_masks import top_entropy
from mentor_pl.runtime.ranges import MAX_GROUP, check
from mentor_pl.types import Rollouts


class Distillation(Algorithm):
    """On-policy distillation.

    Args:
        group_size: rollouts of each problem.
        estimator: `full` or `drawn`.
        share: of the response tokens that are trained on, those with the highest entropy.

    Raises:
        UsageError: for a group below 1 or a share out of range.
    """

    def __init__(self, group_size: int = 8, estimator: Literal["full", "drawn"] = "full", share: float = 1.0) -> None:
        check("algorithm group_size", group_size, at_least=1, at_most=MAX_GROUP)
        check("algorithm share", share, above=0, at_most=1, because="it is a share of the tokens")
        self.group_size, self.estimator, self.share = group_size, estimator, share

    @property
    def needs(self) -> frozenset[Need]:
        return super().needs | ({Need.EXPERT_LOGPROBS} if self.estimator == "drawn" else frozenset())

    def rounds(self, step: Step) -> Rounds:
        yield policy_rows(step.prompts, self.group_size)

    def advantages(self, rollouts: Rollouts) -> Tensor:
        if self.estimator == "full":
            return torch.zeros_like(rollouts.rewards)
        assert rollouts.expert_logprobs is not None
        return (rollouts.expert_logprobs - rollouts.logprobs) * rollouts.mask

    def train_mask(self, rollouts: Rollouts) -> Tensor:
        return top_entropy(rollouts.entropies, rollouts.mask, self.share)

    def terms(self) -> Sequence[Term]:
        return [Divergence("reverse") if self.estimator == "full" else ClippedSurrogate()]
