"""From a batch of rollouts to what fits: mini-batches of whole groups, micro-batches by token budget.

Every rank holds its share of each mini-batch. Problems are dealt to ranks in turn, so the first groups of all ranks,
their second ones and so on are in the order that one process has them in, and the mini-batches those that it makes.

Shapes: N rollouts, M rollouts of a mini-batch, B rollouts of a micro-batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mentor_pl.runtime.collectives import all_objects, rank
from mentor_pl.runtime.ranges import check


def check_batches(count: int, tokens: int) -> None:
    """See that there are mini-batches, and micro-batches of something.

    Raises:
        UsageError: where there are none.
    """
    check("model.mini_batches", count, at_least=1)
    check("model.micro_batch_tokens", tokens, at_least=1)


def mini_batches(group: Tensor, count: int) -> list[Tensor]:
    """Rows [M] of each of `count` mini-batches: consecutive whole groups of all ranks, equally many in each as far as
    that goes; call on every rank.

    Args:
        group: [N] int64, ascending, of this rank.
        count: mini-batches; those that no group is left for are empty.
    """
    group = group.cpu()
    own = group.unique()
    every = all_objects(len(own))
    places = [  # among the groups of all ranks
        sum(min(theirs, number + (other < rank())) for other, theirs in enumerate(every)) for number in range(len(own))
    ]
    parts = torch.arange(sum(every)).tensor_split(count)
    mine = [own[torch.isin(torch.tensor(places, dtype=torch.int64), part)] for part in parts]
    return [torch.isin(group, some).nonzero().squeeze(1) for some in mine]


def micro_batches(prompts: Tensor, responses: Tensor, group: Tensor, tokens: int, rows: Tensor) -> list[Tensor]:
    """The rollouts `rows` [M] in micro-batches [B] of at most `tokens` tokens, a prompt counted once for its
    neighbours; a longer rollout goes alone.

    Groups stay together, those with the longest rollouts first: rollouts of like lengths then meet, and a device that
    has too little memory says so at once.

    Args:
        prompts: [N] int64, tokens of the rollouts' prompts.
        responses: [N] int64, tokens of their responses.
        group: [N] int64, ascending.
        tokens: the budget.
        rows: [M] int64, ascending, on the CPU.
    """
    p, t, g = (column.cpu()[rows] for column in (prompts, responses, group))
    longest = torch.zeros(int(g.max()) + 1, dtype=p.dtype).scatter_reduce_(0, g, p + t, "amax") if len(rows) else g
    batches: list[list[int]] = []
    spent, before = 0, (-1, -1)
    for place in longest[g].argsort(descending=True, stable=True).tolist():
        shared = (int(g[place]), int(p[place]))
        cost = int(t[place]) + (0 if batches and shared == before else shared[1])
        if not batches or spent + cost > tokens:
            batches.append([])
            spent, cost = 0, int(p[place] + t[place])
        batches[-1].append(int(rows[place]))
        spent, before = spent + cost, shared
    return [torch.tensor(batch) for batch in batches]
