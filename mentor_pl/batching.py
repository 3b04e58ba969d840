"""From a batch of rollouts to what fits: mini-batches of whole groups, micro-batches by token budget.

Every rank holds its share of each mini-batch: with prompts dealt to ranks in turn, the k-th local mini-batches
together are the k-th global one, whatever the number of ranks.

Shapes: N rollouts, M rollouts of a mini-batch, B rollouts of a micro-batch.
"""

from __future__ import annotations

import torch
from torch import Tensor


def mini_batches(rollouts: int, group_size: int, count: int) -> list[Tensor]:
    """Rows [M] of each of `count` mini-batches: consecutive whole groups, equally many in each.

    Raises:
        ValueError: where the groups cannot be divided evenly.
    """
    groups = rollouts // group_size
    if groups % count:
        raise ValueError(f"{groups} groups cannot be divided into {count} equal mini-batches")
    return list(torch.arange(rollouts).chunk(count))


def micro_batches(lengths: Tensor, tokens: int) -> list[Tensor]:
    """Places [B] in `lengths` [M], longest first, so that rows × longest row ≤ `tokens`; a longer row goes alone."""
    batches: list[list[int]] = []
    sizes = lengths.tolist()
    for place in lengths.argsort(descending=True, stable=True).tolist():
        if not batches or (len(batches[-1]) + 1) * sizes[batches[-1][0]] > tokens:
            batches.append([])
        batches[-1].append(place)
    return [torch.tensor(batch) for batch in batches]
