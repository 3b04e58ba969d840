"""What the host knows of the slots in use: which rollout lives in each and how far it has come, as of the last sync.

Shapes: R slots, A of them in use (the first ones).
"""

from __future__ import annotations

import torch
from torch import Tensor


class Slots:
    """Columns of the host's table, one line per slot; [R] int64 on the CPU.

    Attributes:
        used: A.
        age: rows that were assigned before it was.
        rollout: the rollout's place in the call.
        prompt: tokens of its prompt.
        limit: tokens its response may have.
        place: tokens of its response, drafts included.
        pending: drafts that wait for the expert.
        drafting: 1 while it goes on; 0 once it has ended or waits behind a stop token or the limit.
        rejections: drafts of it that were replaced.
        verified: tokens of its response that the expert has scored.
        expert_computed: columns of its context that lie in the expert's cache: one for the prompt's last token, then
            one per token.
    """

    COLUMNS = (
        "age",
        "rollout",
        "prompt",
        "limit",
        "place",
        "pending",
        "drafting",
        "rejections",
        "verified",
        "expert_computed",
    )

    def __init__(self, slots: int) -> None:
        self.used = self.assigned = 0
        columns = (torch.zeros(slots, dtype=torch.int64) for _ in self.COLUMNS)
        self.age, self.rollout, self.prompt, self.limit, self.place, self.pending, self.drafting, *rest = columns
        self.rejections, self.verified, self.expert_computed = rest

    def assign(self, requests: Tensor) -> None:
        """Put requests into slots: slots, rollouts, tokens of their prompts, limits, tokens they have; [5, ·] int64."""
        slots, rollouts, prompts, limits, places = requests
        self.rollout[slots], self.prompt[slots], self.limit[slots], self.drafting[slots] = rollouts, prompts, limits, 1
        self.place[slots] = self.verified[slots] = places
        self.age[slots] = torch.arange(self.assigned, self.assigned + len(slots))
        self.assigned += len(slots)
        for column in (self.pending, self.rejections, self.expert_computed):
            column[slots] = 0
        self.used = max(self.used, int(slots.max()) + 1)

    def move(self, sources: Tensor, targets: Tensor) -> None:
        """Let the rollouts of the slots `sources` [·] live in the slots `targets` [·], none of which is a source."""
        for name in self.COLUMNS:
            column: Tensor = getattr(self, name)
            column[targets] = column[sources]

    def ended(self) -> Tensor:
        """Slots in use whose rollouts are complete: they go no further, and nothing of them waits for the expert."""
        return ((self.drafting == 0) & (self.pending == 0))[: self.used].nonzero().squeeze(1)

    def max_rejection_rate(self, prior_rejections: float, prior_tokens: float) -> float:
        """Rejections per token of the row in use that has the most, each row's counts added to the prior's."""
        rates = (self.rejections + prior_rejections) / (self.place + prior_tokens)
        return float(rates[: self.used].max())

    def width(self) -> int:
        """Places that the next step must see of the fullest slot in use."""
        return int((self.prompt + self.place)[: self.used].max())
