"""What a call of the sampler hands over: its buffers, cut to what each rollout said."""

from __future__ import annotations

import torch
from torch import Tensor

from mentor_pl.decoding.engine.draft import Drafts
from mentor_pl.decoding.engine.likeliest import Likeliest
from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.decoding.sampler import Samples


def finished(drafts: Drafts, lengths: Tensor, kept: Likeliest | None, stats: DecodeStats) -> Samples:
    """N rollouts of `lengths` [N] tokens, and what decoding them cost, whose tokens are counted here."""
    to, n = drafts.buffers, len(lengths)
    lengths, longest = lengths.to(to.context.device), int(lengths.max())
    ids = to.context[:n, 1 : longest + 1]
    mask = torch.arange(longest, device=ids.device) < lengths[:, None]  # drafts behind the end do not count
    last = ids.gather(1, lengths[:, None] - 1)
    stats.tokens = int(lengths.sum())
    guided, replaced = to.guided[:n, :longest] & mask, to.replaced[:n, :longest] & mask
    ids = ids.where(mask, 0)
    return Samples(
        ids=ids,
        lengths=lengths,
        logprobs=to.logprobs[:n, :longest].where(mask, 0),
        entropies=to.entropies[:n, :longest].where(mask, 0),
        gate_weights=to.weights[:n, :longest].where(mask, 0),
        guided=guided,
        replaced=replaced,
        truncated=~(last == drafts.stop_ids).any(-1),
        margins=to.margins[:n, :longest].where(mask, 0),
        divergences=to.divergences[:n, :longest].where(mask, 0),
        drafts=to.fallen[:n, :longest].where(replaced, ids),
        alternatives=kept.of(guided) if kept is not None else None,
        stats=stats,
    )
