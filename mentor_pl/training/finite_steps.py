"""Optimizer steps on gradients that are numbers; a few that are none are skipped, many in a row end the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import LambdaLR

from mentor_pl.runtime.errors import DivergenceError
from mentor_pl.runtime.ranges import check

MOST_SKIPPED = 10  # updates in a row


class FiniteSteps:
    """Clips gradients and steps, where loss and gradient are numbers.

    Args:
        max_grad_norm: gradients are scaled down to this norm.

    Raises:
        UsageError: for a norm that is not positive.
    """

    def __init__(self, max_grad_norm: float) -> None:
        check("model.max_grad_norm", max_grad_norm, above=0, infinite=True, otherwise=".inf for no clipping")
        self.max_grad_norm = max_grad_norm
        self.skipped = 0  # in a row, up to now

    def __call__(
        self,
        policy: nn.Module,
        optimizer: LightningOptimizer,
        warmup: LambdaLR,
        means: Mapping[str, Tensor],
        step: int,
    ) -> dict[str, Tensor]:
        """One optimizer step, or none; `means` are the mini-batch's, its loss among them, and `step` counts from 1.

        Returns:
            the gradient's norm before clipping, and 1 where the step was skipped.

        Raises:
            DivergenceError: where `MOST_SKIPPED` in a row were skipped.
        """
        norm = clip_grad_norm_(policy.parameters(), self.max_grad_norm)
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        finite = bool(torch.isfinite(norm + means["loss"]))
        self.skipped = 0 if finite else self.skipped + 1
        if finite:
            optimizer.step()
            warmup.step()
        optimizer.zero_grad()
        if not finite:
            self._tell(step, {**means, "grad_norm": norm}, rank_zero_warn)
        return {"grad_norm": norm, "skipped_updates": torch.tensor(float(not finite))}

    def _tell(self, step: int, means: Mapping[str, Tensor], warn: Callable[[str], None]) -> None:
        seen = ", ".join(f"{name} {value.item():.4g}" for name, value in means.items())
        if self.skipped < MOST_SKIPPED:
            warn(f"step {step}: loss or gradient is no number ({seen}): this update is skipped, weights stay")
            return
        raise DivergenceError(
            f"step {step}: loss or gradient was no number in {MOST_SKIPPED} updates in a row ({seen}). None of them "
            "touched the weights, which are those before the first: go on from the last checkpoint with a lower "
            "learning rate, by --resume auto --resume_changes model.optimizer --model.optimizer.init_args.lr LR"
        )


def means_of(updates: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
    """What updates said, `FiniteSteps` among them, as `train/…`: means over them, and how many were skipped."""
    means = {f"train/{name}": float(torch.stack([one[name] for one in updates]).mean()) for name in updates[0]}
    means["train/skipped_updates"] *= len(updates)
    return means
