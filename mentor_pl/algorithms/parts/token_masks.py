"""Which response tokens are trained on: those where the policy is least certain.

The bound is a quantile over all tokens of the step, of all ranks (arXiv 2506.01939: the 20 % with the highest entropy).

Shapes: N rollouts, T response tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.gates import quantile
from mentor_pl.runtime.collectives import all_values


def top_entropy(entropies: Tensor, mask: Tensor, share: float) -> Tensor:
    """The `share` of the tokens `mask` [N, T] with the highest `entropies` [N, T]: [N, T] bool. Call on every rank.

    Ties at the bound are all in; a share of 1 is all of them, 0 none.
    """
    if share >= 1:
        return mask
    if share <= 0:
        return torch.zeros_like(mask)
    everyone = all_values(entropies[mask])
    return mask & (entropies >= quantile(everyone, 1 - share)) if len(everyone) else mask
