"""Verifying: the expert reads what rows have drafted, and the drafts that must answer to it stand or fall.

Only rows with a pending draft take part. Their unread tokens, up to the last pending draft, go through the expert in
one packed forward; its distribution is evaluated at the pending drafts alone. At a row's first replaced draft all that
was drafted behind it is rolled back, on both caches, by moving numbers.

Shapes: B rows that take part, T tokens that the expert reads, F pending drafts, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.gates import Scored
from mentor_pl.decoding.distribution import draw, kl, log_distribution, margin
from mentor_pl.decoding.engine.bucketed_spans import BucketedForward
from mentor_pl.decoding.engine.draft import Drafts
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.likeliest import Likeliest
from mentor_pl.decoding.engine.model_runner import CHUNK_TOKENS, ModelRunner
from mentor_pl.decoding.engine.slots import Slots
from mentor_pl.models.attention import spans
from mentor_pl.runtime.noise import COIN, RESIDUAL, exponential, uniform

DECIDED_ELEMENTS = 2**25  # of each [F, V] tensor at a time: 128 MiB in float32


@dataclass(frozen=True)
class CallResult:
    """What one call of the expert came to.

    Attributes:
        rows: B.
        tokens: T.
        scored_positions: F.
        replaced: rows with a replaced draft.
        rolled_back: drafts behind the replaced ones.
        padding: places of the chunk's attention that held no token.
    """

    rows: int
    tokens: int
    scored_positions: int
    replaced: int
    rolled_back: int
    padding: int


class Verifier:
    """The expert beside the drafts.

    Args:
        runner: the expert, with as many slots as the policy.
        drafts: what it verifies.
        guidance: which drafts wait for the expert, and what becomes of them.
        alternatives: how many of the likeliest tokens are kept of each guided one; 0 keeps nothing.
        recorded: the runner's forwards in shapes that a GPU replays, taken where pages are read where they lie.
    """

    def __init__(
        self,
        runner: ModelRunner,
        drafts: Drafts,
        guidance: Guidance,
        alternatives: int = 0,
        recorded: BucketedForward | None = None,
    ) -> None:
        self.runner, self.drafts, self.guidance, self.recorded = runner, drafts, guidance, recorded
        self.kept = Likeliest(alternatives, guidance.blend.mixture) if alternatives else None

    def __call__(self, table: Slots) -> CallResult:
        """Settle every pending draft; the slots and the drafts move on."""
        slots = (table.pending[: table.used] > 0).nonzero().squeeze(1)  # [B]
        owner, place = self._pending_drafts(table, slots)
        last = torch.zeros_like(slots).scatter_reduce(0, owner, place, "amax")  # [B]
        logits, counts = self._consult(table, slots, owner, place, last)
        ids, replaced, logprobs = self._decide(table.rollout[slots][owner], place, slots[owner], logits)

        # a row is rolled back to its first replaced draft
        index = torch.arange(len(place))
        first = torch.full_like(slots, len(place)).scatter_reduce(0, owner[replaced], index[replaced], "amin")
        rejected = first < len(place)
        first, back = first[rejected], slots[rejected]
        ends, before = place[first] + 1, table.place[back]
        drafting = (ends < table.limit[back]) & ~torch.isin(ids[first], self.drafts.stops)
        table.place[back], table.drafting[back] = ends, drafting.long()
        table.rejections[back] += 1
        table.expert_computed[slots] = last + 1
        table.expert_computed[back] = ends
        table.verified[slots], table.pending[slots] = table.place[slots], 0
        self.drafts.settle(slots)
        if len(first):
            fell = first.to(self.runner.device)
            self.drafts.replace(
                back,
                table.rollout[back],
                ends,
                drafting.long(),
                ids[first].to(fell.device),
                logprobs[fell],
            )
        return CallResult(
            rows=len(slots),
            tokens=int(counts.sum()),
            scored_positions=len(place),
            replaced=len(first),
            rolled_back=int((before - ends).sum()),
            padding=int(counts.max() * len(counts) - counts.sum()),
        )

    def _pending_drafts(self, table: Slots, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Rows in `slots` [B] that pending drafts belong to, and their places there, in order: [F], [F]."""
        counts = (table.place - table.verified)[slots]
        owner = torch.arange(len(slots)).repeat_interleave(counts)
        place = spans(table.verified[slots], counts)
        if self.guidance.every:
            return owner, place
        device = self.runner.device
        guided = self.drafts.buffers.guided[table.rollout[slots][owner].to(device), place.to(device)].cpu()
        return owner[guided], place[guided]

    def _consult(
        self, table: Slots, slots: Tensor, owner: Tensor, place: Tensor, last: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Let the expert read all rows up to their last pending drafts; logits there [F, W], tokens read [B]."""
        device, computed = self.runner.device, table.expert_computed[slots]
        counts = last + 1 - computed
        rollouts = table.rollout[slots].repeat_interleave(counts)
        tokens = self.drafts.buffers.context[rollouts.to(device), spans(computed, counts).to(device)]  # [T]
        scored_positions = (counts.cumsum(0) - counts - computed)[owner] + place
        forward = self.runner.forward
        if self.recorded is not None and self.runner.read_in_place and len(tokens) <= CHUNK_TOKENS:
            forward = self.recorded
        return forward(tokens, slots, table.prompt[slots] - 1 + computed, counts, scored_positions), counts

    def _decide(self, rollouts: Tensor, places: Tensor, slots: Tensor, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the pending drafts become: ids and whether replaced, on the CPU, and log π_θ of the ids; [F] each."""
        index = torch.stack([rollouts, places, slots]).to(self.runner.device)
        some = max(1, DECIDED_ELEMENTS // self.drafts.size)
        parts = [
            self._decide_some(part, at_part)
            for part, at_part in zip(index.split(some, 1), logits.split(some), strict=True)
        ]
        ids, replaced, logprobs = (torch.cat(column) for column in zip(*parts, strict=True))
        on_host = torch.stack([ids, replaced.long()]).cpu()
        return on_host[0], on_host[1].bool(), logprobs

    def _decide_some(self, index: Tensor, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Likewise for rollouts, places and slots `index` [3, F], all on the device."""
        drafts = self.drafts
        rollouts, places, slots = index
        to, keys = drafts.buffers, drafts.keys[rollouts]
        policy = log_distribution(drafts.logits_at(slots, places), drafts.sampling, drafts.size)  # [F, V]
        draft = to.context[rollouts, places + 1]
        expert = log_distribution(logits, drafts.sampling, drafts.size)
        coins = uniform(keys, places, COIN)
        if not self.guidance.blend.lazy:
            self._inform(
                Scored(
                    to.entropies[rollouts, places], places, keys, policy, expert, margin(policy), kl(expert, policy)
                ),
                rollouts,
            )
        weights = to.weights[rollouts, places]
        fell, residual = self.guidance.rule(policy, expert, draft, weights, coins)
        guided = self.guidance.blend.guided(fell, weights, coins)
        to.guided[rollouts, places] = guided
        if self.kept is not None:
            self.kept.add(guided, rollouts, places, policy, expert, weights)
        ids = torch.where(fell, draw(residual, exponential(keys, places, RESIDUAL, drafts.size)), draft)
        # where the same token is drawn again, what was drafted behind it still follows from it
        return ids, ids != draft, policy.gather(1, ids[:, None]).squeeze(1)

    def _inform(self, scored: Scored, rollouts: Tensor) -> None:
        """Note what the expert's word makes of the drafts `scored` [F] of `rollouts` [F]."""
        to, places = self.drafts.buffers, scored.positions
        to.weights[rollouts, places] = self.guidance.blend.informed(scored)
        to.margins[rollouts, places], to.divergences[rollouts, places] = scored.margins, scored.divergences
