"""The likeliest tokens at guided places, kept while both distributions are at hand.

A place behind a replaced draft is decided again once it is drafted again, and may then be guided or not: what was kept
last of a place counts, and only where its token is guided in the end.

Shapes: F drafts of one call of the expert, G guided ones of them, A guided tokens of all rollouts, T response tokens, V
vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mentor_pl.types import Alternatives


class Likeliest:
    """Keeps the k likeliest tokens of π_θ, π* and π_mix.

    Args:
        k: of each.
        mixture: π_mix [G, V] from π_θ [G, V], π* [G, V] and w [G].
    """

    def __init__(self, k: int, mixture: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        self.k, self.mixture = k, mixture
        self.parts: list[Alternatives] = []

    def add(
        self, guided: Tensor, rollouts: Tensor, places: Tensor, policy: Tensor, expert: Tensor, weights: Tensor
    ) -> None:
        """Keep those of the drafts `places` [F] of `rollouts` [F] that are `guided` [F] bool.

        Args:
            policy: [F, V] log π_θ.
            expert: [F, V] log π*.
            weights: [F] w.
        """
        some = guided.nonzero().squeeze(1)
        p, q = policy[some].exp(), expert[some].exp()
        top = [law.topk(min(self.k, law.shape[-1]), -1) for law in (p, q, self.mixture(p, q, weights[some]))]
        ids = torch.stack([one.indices for one in top], 1).int()
        self.parts.append(Alternatives(rollouts[some], places[some], ids, torch.stack([one.values for one in top], 1)))

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
