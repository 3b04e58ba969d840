"""Verifying: the expert reads what rows have drafted, and the drafts that must answer to it stand or fall.

Only rows with an open draft take part. Their unread tokens, up to the last open draft, go through the expert in one
packed forward; its distribution is evaluated at the open drafts alone. At a row's first replaced draft all that was
drafted behind it is dropped, on both caches, by moving numbers.

Shapes: B rows that take part, T tokens that the expert reads, F open drafts, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mentor_pl.decoding.distribution import log_distribution
from mentor_pl.decoding.engine.draft import Drafts
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.model_runner import Reader
from mentor_pl.decoding.engine.slots import Seats
from mentor_pl.decoding.noise import COIN, RESIDUAL, exponential, uniform
from mentor_pl.models.attention import spans

DECIDED_ELEMENTS = 2**25  # of each [F, V] tensor at a time: 128 MiB in float32


@dataclass(frozen=True)
class Verdict:
    """What one call of the expert came to.

    Attributes:
        rows: B.
        tokens: T.
        heads: F.
        replaced: rows that were cut.
        dropped: drafts that fell behind the cuts.
        padding: places of the chunk's attention that held no token.
    """

    rows: int
    tokens: int
    heads: int
    replaced: int
    dropped: int
    padding: int


class Verifier:
    """The expert beside the drafts.

    Args:
        reader: the expert, with as many slots as the policy.
        drafts: what it verifies.
        guidance: which drafts are open, and what becomes of them.
    """

    def __init__(self, reader: Reader, drafts: Drafts, guidance: Guidance) -> None:
        self.reader, self.drafts, self.guidance = reader, drafts, guidance

    def __call__(self, seats: Seats) -> Verdict:
        """Settle every open draft; the seats and the drafts move on."""
        slots = (seats.open[: seats.used] > 0).nonzero().squeeze(1)  # [B]
        owner, place = self._open_drafts(seats, slots)
        last = torch.zeros_like(slots).scatter_reduce(0, owner, place, "amax")  # [B]
        logits, counts = self._consult(seats, slots, owner, place, last)
        ids, replaced, logprobs = self._decide(seats.rollout[slots][owner], place, slots[owner], logits)

        # a row is cut at its first replaced draft
        index = torch.arange(len(place))
        first = torch.full_like(slots, len(place)).scatter_reduce(0, owner[replaced], index[replaced], "amin")
        cut = first < len(place)
        first = first[cut]
        ends, before = place[first] + 1, seats.place[slots[cut]]
        drafting = (ends < seats.limit[slots[cut]]) & ~torch.isin(ids[first], self.drafts.stops)
        seats.place[slots[cut]], seats.drafting[slots[cut]] = ends, drafting.long()
        seats.cuts[slots[cut]] += 1
        seats.read[slots] = last + 1
        seats.read[slots[cut]] = ends
        seats.verified[slots], seats.open[slots] = seats.place[slots], 0
        self.drafts.settle(slots)
        if len(first):
            fell = first.to(self.reader.device)
            self.drafts.replace(
                slots[cut], seats.rollout[slots[cut]], ends, drafting.long(), ids[first].to(fell.device), logprobs[fell]
            )
        return Verdict(
            rows=len(slots),
            tokens=int(counts.sum()),
            heads=len(place),
            replaced=len(first),
            dropped=int((before - ends).sum()),
            padding=int(counts.max() * len(counts) - counts.sum()),
        )

    def _open_drafts(self, seats: Seats, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Rows in `slots` [B] that open drafts belong to, and their places there, in order: [F], [F]."""
        counts = (seats.place - seats.verified)[slots]
        owner = torch.arange(len(slots)).repeat_interleave(counts)
        place = spans(seats.verified[slots], counts)
        if self.guidance.every:
            return owner, place
        device = self.reader.device
        guided = self.drafts.transcript.guided[seats.rollout[slots][owner].to(device), place.to(device)].cpu()
        return owner[guided], place[guided]

    def _consult(
        self, seats: Seats, slots: Tensor, owner: Tensor, place: Tensor, last: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Let the expert read all rows up to their last open drafts; logits there [F, W], tokens read [B]."""
        device, read = self.reader.device, seats.read[slots]
        counts = last + 1 - read
        rollouts = seats.rollout[slots].repeat_interleave(counts)
        tokens = self.drafts.transcript.context[rollouts.to(device), spans(read, counts).to(device)]  # [T]
        heads = (counts.cumsum(0) - counts - read)[owner] + place
        return self.reader.read(tokens, slots, seats.prompt[slots] - 1 + read, counts, heads), counts

    def _decide(self, rollouts: Tensor, places: Tensor, slots: Tensor, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the open drafts [F] become: ids and whether replaced, on the CPU, and log π_θ of the ids; [F] each."""
        index = torch.stack([rollouts, places, slots]).to(self.reader.device)
        some = max(1, DECIDED_ELEMENTS // self.drafts.size)
        parts = [
            self._decide_some(part, at_part)
            for part, at_part in zip(index.split(some, 1), logits.split(some), strict=True)
        ]
        ids, replaced, logprobs = (torch.cat(column) for column in zip(*parts, strict=True))
        told = torch.stack([ids, replaced.long()]).cpu()
        return told[0], told[1].bool(), logprobs

    def _decide_some(self, index: Tensor, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Likewise for rollouts, places and slots `index` [3, F], all on the device."""
        drafts = self.drafts
        rollouts, places, slots = index
        to, keys = drafts.transcript, drafts.keys[rollouts]
        policy = log_distribution(drafts.logits_at(slots, places), drafts.sampling, drafts.size)  # [F, V]
        ids, replaced = self.guidance.decide(
            policy,
            log_distribution(logits, drafts.sampling, drafts.size),
            to.context[rollouts, places + 1],
            to.weights[rollouts, places],
            uniform(keys, places, COIN),
            exponential(keys, places, RESIDUAL, drafts.size),
        )
        return ids, replaced, policy.gather(1, ids[:, None]).squeeze(1)
