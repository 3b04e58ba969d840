"""The rows of a mini-batch dealt anew among ranks, so that each has as many tokens to read.

A rank samples the problems that it drew, and how long the responses are is known only then. For the update whole
groups change hands inside a mini-batch, the longest first, each to the rank that has least so far (LPT; R. L. Graham,
Bounds on multiprocessing timing anomalies, 1969: at most 4/3 of the best). What a term divides by is over all ranks, so
the gradient is the same up to rounding. Everything else stays with the rank that sampled it.

Shapes: N rollouts, n of them read here, m of a mini-batch's rows here, T response tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from mentor_pl.runtime.collectives import all_objects, exchanged, rank, world_size
from mentor_pl.training.assemble import joined_rollouts
from mentor_pl.types import Rollouts


def longest_first(costs: Sequence[int], ranks: int) -> list[int]:
    """The rank of each group, by its cost; of ranks that have as little, and of groups that cost as much, the first."""
    loads, owners = [0] * ranks, [0] * len(costs)
    for group in sorted(range(len(costs)), key=lambda group: -costs[group]):
        owners[group] = loads.index(min(loads))
        loads[owners[group]] += costs[group]
    return owners


class Deal:
    """What this rank reads of all ranks' rows of a mini-batch; call on every rank. Of one process: its own rows.

    Args:
        rollouts: that this rank has sampled, N of them.
        advantages: [N] or [N, T].
        rows: [m] int64, ascending, on the CPU: what is to be read of them.

    Attributes:
        rollouts: that are read here, one at least; nothing is learned of it where none was dealt to this rank.
        advantages: theirs, [n, T], or as they were.
        rows: which of `rollouts` are to be read.
    """

    def __init__(self, rollouts: Rollouts, advantages: Tensor, rows: Tensor) -> None:
        self.rollouts, self.advantages, self.rows = rollouts, advantages, rows
        self._width = rollouts.response_ids.shape[1]
        self._sent: list[Tensor] | None = None
        if world_size() == 1:
            return
        groups, place = rollouts.group.cpu()[rows].unique(return_inverse=True)
        every = all_objects(_costs(rollouts, rows, place, len(groups)))
        before = sum(map(len, every[: rank()]))
        owners = longest_first([cost for costs in every for cost in costs], world_size())
        owner = torch.tensor(owners[before : before + len(groups)], dtype=torch.int64)[place]  # [m]
        self._sent = [(owner == other).nonzero().squeeze(1) for other in range(world_size())]
        each = advantages if advantages.ndim == 2 else advantages[:, None].expand_as(rollouts.response_ids)
        device = rollouts.response_ids.device
        parts = exchanged([_part(rollouts, each, rows[some]) for some in self._sent], device)
        self._received = [len(part) for part, _ in parts]
        self.rows = torch.arange(sum(self._received))
        self.rollouts = joined_rollouts([part for part, _ in parts]).to(device)
        width = self.rollouts.response_ids.shape[1]
        self.advantages = torch.cat([pad(each, (0, width - each.shape[1])) for _, each in parts]).to(device)
        if not len(self.rows):
            self.rollouts, self.advantages = _anchor(self.rollouts), self.advantages.new_zeros(1, 1)

    def home(self, values: Tensor) -> Tensor:
        """What was read of the rollouts, [n, T], back to the ranks that sampled them: [m, T]; call on every rank."""
        if self._sent is None:
            return values[self.rows]
        parts = exchanged([part.clone() for part in values[self.rows].cpu().split(self._received)], values.device)
        whole = torch.cat([pad(part, (0, self._width - part.shape[1])) for part in parts])  # what is wider is cut
        return whole[torch.cat(self._sent).argsort()].to(values.device)


def _costs(rollouts: Rollouts, rows: Tensor, group: Tensor, groups: int) -> list[int]:
    """Tokens of the `rows` [m] of each group: every response, and the longest context once. `group` [m]: 0, 1, …"""
    responses, contexts = (column.cpu()[rows] for column in (rollouts.response_lengths, rollouts.prompt_lengths))
    none = torch.zeros(groups, dtype=torch.int64)
    costs = none.index_add(0, group, responses) + none.scatter_reduce(0, group, contexts, "amax")
    return [int(cost) for cost in costs]


def _part(rollouts: Rollouts, advantages: Tensor, rows: Tensor) -> tuple[Rollouts, Tensor]:
    """Those of the rollouts on the CPU, with what the update reads of them and no more padding than they need."""
    kept = torch.zeros(len(rollouts), dtype=torch.bool).index_fill(0, rows, True).to(rollouts.group.device)
    unread: dict[str, Any] = dict.fromkeys(("margins", "divergences", "drafts", "problems", "numbers", "alternatives"))
    unread |= {name: {} for name in ("reward_parts", "seconds", "decoding", "counts")} | {"texts": ()}
    part = replace(rollouts, **unread).only(kept).to("cpu")
    longest = int(part.response_lengths.max()) if len(part) else 0
    columns: dict[str, Any] = {
        name: value[:, :longest].clone()  # what is pickled of a view is all of its memory
        for name, value in vars(part).items()
        if isinstance(value, Tensor) and value.ndim == 2 and name != "prompt_ids"
    }
    return replace(part, **columns), advantages[kept][:, :longest].cpu().clone()


def _anchor(nothing: Rollouts) -> Rollouts:
    """One rollout of one token, so that a rank without any takes part in forward and backward; it is masked out."""
    columns: dict[str, Any] = {
        name: value.new_zeros(1, *[1] * (value.ndim - 1))
        for name, value in vars(nothing).items()
        if isinstance(value, Tensor)
    }
    one = torch.ones_like(columns["response_lengths"])
    return replace(nothing, **columns | {"prompt_lengths": one, "response_lengths": one})
