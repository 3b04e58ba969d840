"""Which groups of rollouts have anything to learn from.

Shapes: N rollouts, P groups, T response tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mentor_pl.types import Rollouts


def have_signal(rollouts: Rollouts, advantages: Tensor) -> Tensor:
    """Which groups, in order, have a trained token with an advantage: [P] bool.

    Args:
        rollouts: of this rank.
        advantages: [N] or [N, T].
    """
    each = advantages if advantages.ndim == 2 else advantages[:, None]
    rows = ((each != 0) & rollouts.train_mask).any(1)  # [N]
    groups, numbers = rollouts.group.unique(return_inverse=True)
    return torch.zeros(len(groups), dtype=torch.int64, device=rows.device).index_add(0, numbers, rows.long()) > 0
