"""The likeliest tokens at guided places, kept while both distributions are at hand.

A place behind a replaced draft is decided again once it is drafted again, and may then be guided or not: what was kept
last of a place counts, and only where its token is guided in the end.

Shapes: G guided drafts of one call of the expert, A guided tokens of all rollouts, T response tokens, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mentor_pl.types import Alternatives


class Likeliest:
    """Keeps the k likeliest tokens of π_θ, π* and π_mix.

    Args:
        k: of each.
    """

    def __init__(self, k: int) -> None:
        self.k = k
        self.parts: list[Alternatives] = []

    def add(self, rollouts: Tensor, places: Tensor, *distributions: Tensor) -> None:
        """Keep those of guided drafts `places` [G] of `rollouts` [G]; probabilities [G, V] of π_θ, π* and π_mix."""
        top = [p.topk(min(self.k, p.shape[-1]), -1) for p in distributions]
        ids = torch.stack([one.indices for one in top], 1).int()
        self.parts.append(Alternatives(rollouts, places, ids, torch.stack([one.values for one in top], 1)))

    def of(self, guided: Tensor) -> Alternatives | None:
        """Those of the tokens `guided` [N, T] bool; none where no draft was."""
        if not self.parts:
            return None
        names = ("rows", "positions", "ids", "probabilities")
        rows, positions, ids, values = (torch.cat([getattr(part, name) for part in self.parts]) for name in names)
        length = guided.shape[1]
        inside = positions < length  # others were drafted behind the end of the longest response
        rows, positions, ids, values = rows[inside], positions[inside], ids[inside], values[inside]
        place = rows * length + positions
        order = place.argsort(stable=True)
        last = torch.ones_like(order, dtype=torch.bool)
        last[:-1] = place[order[1:]] != place[order[:-1]]
        chosen = order[last & guided[rows, positions][order]]
        return Alternatives(rows[chosen], positions[chosen], ids[chosen], values[chosen])
