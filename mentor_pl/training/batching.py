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


def micro_batches(prompts: Tensor, responses: Tensor, group_size: int, tokens: int) -> list[Tensor]:
    """Rows [B] of each micro-batch, of at most `tokens` tokens, a prompt counted once for its neighbours; a longer
    rollout goes alone.

    Groups stay together, those with the longest rollouts first: rollouts of like lengths then meet, and a device that
    has too little memory says so at once.

    Args:
        prompts: [M] int64, tokens of the rollouts' prompts; whole groups, one behind the other.
        responses: [M] int64, tokens of their responses.
        group_size: rollouts of a group.
        tokens: the budget.
    """
    longest = (prompts + responses).view(-1, group_size).amax(1)
    order = longest.argsort(descending=True, stable=True)
    rows = torch.arange(len(prompts)).view(-1, group_size)[order.cpu()].flatten().tolist()
    p, t = prompts.tolist(), responses.tolist()
    batches: list[list[int]] = []
    spent = 0
    for row in rows:
        same = bool(batches) and batches[-1][-1] // group_size == row // group_size
        cost = t[row] + (0 if same else p[row])
        if not batches or spent + cost > tokens:
            batches.append([])
            spent, cost = 0, p[row] + t[row]
        batches[-1].append(row)
        spent += cost
    return [torch.tensor(batch) for batch in batches]
