"""What settling drafts means, however the expert is asked: which wait, and what becomes of a row that has one replaced.

At a row's first replaced draft all that was drafted behind it is rolled back by moving numbers.

Shapes: B rows that take part, T tokens that the expert reads, F pending drafts, b rows with a replaced draft.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mentor_pl.decoding.engine.draft import Drafts
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.likeliest import Likeliest
from mentor_pl.decoding.engine.slots import Slots
from mentor_pl.models.attention import spans


@dataclass(frozen=True)
class CallResult:
    """What one call of the expert came to.

    Attributes:
        calls: forwards of the expert.
        rows: B.
        tokens: T.
        scored_positions: F.
        replaced: rows with a replaced draft.
        rolled_back: drafts behind the replaced ones.
        padding: places of the chunk's attention that held no token.
    """

    calls: int
    rows: int
    tokens: int
    scored_positions: int
    replaced: int
    rolled_back: int
    padding: int


class Settling(ABC):
    """The expert beside the drafts.

    Args:
        drafts: what it settles.
        guidance: which drafts wait for the expert, and what becomes of them.

    Attributes:
        kept: the likeliest tokens of each guided one, where they are kept.
    """

    kept: Likeliest | None = None

    def __init__(self, drafts: Drafts, guidance: Guidance) -> None:
        self.drafts, self.guidance = drafts, guidance

    @abstractmethod
    def __call__(self, table: Slots) -> CallResult:
        """Settle every pending draft; the slots and the drafts move on."""

    def forget(self, rollouts: Sequence[int]) -> None:  # noqa: B027 (it may remember nothing of them)
        """These rollouts are complete, or wait for room."""

    def pending_drafts(self, table: Slots, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Rows in `slots` [B] that pending drafts belong to, and their places there, in order: [F], [F]."""
        counts = (table.place - table.verified)[slots]
        owner = torch.arange(len(slots)).repeat_interleave(counts)
        place = spans(table.verified[slots], counts)
        if self.guidance.every:
            return owner, place
        device = self.drafts.token.device
        guided = self.drafts.buffers.guided[table.rollout[slots][owner].to(device), place.to(device)].cpu()
        return owner[guided], place[guided]

    def settled(self, table: Slots, slots: Tensor, back: Tensor, ends: Tensor, ids: Tensor, logprobs: Tensor) -> int:
        """No draft of `slots` [B] is pending any more; the drafts that were rolled back, in number.

        Args:
            back: [b] slots whose rows end in another token than they had drafted.
            ends: [b] tokens of their responses, that one included.
            ids: [b] those tokens.
            logprobs: [b] log π_θ of them, on the device.
        """
        before = table.place[back]
        drafting = (ends < table.limit[back]) & ~torch.isin(ids, self.drafts.stops)
        table.place[back], table.drafting[back] = ends, drafting.long()
        table.rejections[back] += 1
        table.verified[slots], table.pending[slots] = table.place[slots], 0
        self.drafts.settle(slots)
        if len(back):
            rollouts = table.rollout[back]
            self.drafts.replace(back, rollouts, ends, drafting.long(), ids.to(logprobs.device), logprobs)
        return int((before - ends).sum())
