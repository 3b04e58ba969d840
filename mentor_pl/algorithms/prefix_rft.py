"""Prefix-RFT: one rollout of a group goes on from a prefix of an expert's trace (arXiv 2507.01679).

    prefix      the first share · tokens (rounded) of the trace,   share = min + (max − min) · α,   0.95 → 0.05
    A           R − mean(R) over the group                                                         [Dr. GRPO]
    loss = Σ tokens of −min(r A, clip(r, 1 − ε_low, 1 + ε_high) A) / (rollouts · max_new_tokens)   [Dr. GRPO]
    trained on  sampled tokens, and of a prefix the 20 % where π_old is least certain

α falls by a cosine over 120 steps. r of a prefix's tokens is against π_old, as of sampled ones. Departures: once α is
0 no prefix is given at all, where the paper's run ends at 0.05. Derived, since only summarised: the 20 % are counted in
each prefix by itself, rounded to whole tokens, and the clip is this project's (0.2, 0.28).
"""

from __future__ import annotations

import math

from torch import Tensor

from mentor_pl.algorithms.base import Rounds, Step, policy_rows
from mentor_pl.algorithms.on_policy import OnPolicy
from mentor_pl.algorithms.parts.advantages import centred
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.algorithms.parts.schedules import AlphaSchedule, Cosine
from mentor_pl.algorithms.parts.traces import Random, TraceSelection
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check
from mentor_pl.types import Rollouts, Row


class PrefixRFT(OnPolicy):
    """A group whose last rollout begins as an expert's does.

    Args:
        group_size: G, rollouts of each problem, the one with a prefix included; at least 2.
        max_share: of the trace that is the prefix while α is 1.
        min_share: of the trace that it nears as α nears 0.
        top_entropy: share of a prefix's tokens that are trained on.
        schedule: of α, by default a cosine over 120 steps; `callbacks.AlphaDecay` moves it.
        selection: which trace; by default any.
        loss: by default `ClippedSurrogate` with a constant normaliser.

    Raises:
        UsageError: for a group below 2, or shares that are none.
    """

    uses_alpha = True
    uses_traces = True

    def __init__(
        self,
        group_size: int = 8,
        max_share: float = 0.95,
        min_share: float = 0.05,
        top_entropy: float = 0.2,
        schedule: AlphaSchedule | None = None,
        selection: TraceSelection | None = None,
        loss: Term | None = None,
    ) -> None:
        super().__init__(group_size, loss if loss is not None else ClippedSurrogate(aggregation="constant"))
        shares = {"max_share": max_share, "min_share": min_share, "top_entropy": top_entropy}
        for name, share in shares.items():
            check(f"algorithm {name}", share, at_least=0, at_most=1, because="it is a share of the trace")
        if min_share > max_share:
            raise UsageError(f"algorithm min_share is {min_share}, but max_share {max_share}: give no more than that")
        self.max_share, self.min_share, self.top_entropy = max_share, min_share, top_entropy
        self.schedule = schedule if schedule is not None else Cosine()
        self.selection = selection if selection is not None else Random()

    def rounds(self, step: Step) -> Rounds:
        share = self.min_share + (self.max_share - self.min_share) * min(1.0, step.alpha) if step.alpha else 0.0
        traces = self.selection.select(step, step.prompts) if share else [None] * len(step.prompts)
        rows = []
        for prompt, trace in zip(step.prompts, traces, strict=True):
            prefix = (trace or ())[:-1][: round(share * len(trace or ()))]  # never the stop token
            rows += policy_rows([prompt], self.group_size - 1)
            rows.append(Row(prompt, prompt.token_ids, self.group_size - 1, given=prefix))
        yield rows

    def advantages(self, rollouts: Rollouts) -> Tensor:
        return centred(rollouts.rewards, rollouts.group)

    def train_mask(self, rollouts: Rollouts) -> Tensor:
        given = rollouts.given
        ranked: Tensor = rollouts.entropies.masked_fill(~given, -math.inf).argsort(stable=True, dim=1, descending=True)
        place = ranked.argsort(1)  # [N, T], 0 is the most uncertain token of the prefix
        count = (self.top_entropy * given.sum(1, keepdim=True).double()).round()  # [N, 1]
        return rollouts.mask & (~given | (place < count))
