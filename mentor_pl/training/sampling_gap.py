"""How far log π_old as sampling kept it is from the trainer's, at the same weights: two computations of one number.

    Δ = log π_trainer(y_t) − log π_sampler(y_t),   ratio = e^Δ
    logprob_gap/mean, /max     |Δ|: rounding, below 1e-5 in 32-true. In bfloat16 the greatest of many |Δ| is large
                               whatever the others are, and tells nothing
    sampling_ratio/clipped     share of the tokens whose ratio is beyond the loss's clip range before any update
    sampling_ratio/mean        of the tokens that the policy drew: 1 in expectation, since Σ_y π_sampler · ratio = 1
    sampling_ratio/capped      with `model.importance_cap`, the share of those at the cap

Over the tokens that are trained on, and measured while the weights are those that sampled: in the pass that recomputes
log-probabilities, else in the first update's, which reads the first mini-batch. Sampling keeps the log-probabilities of
what it draws from, after temperature, top_p and top_k; training knows the temperature alone. So under a filter Δ is the
log of the mass kept; a token of the expert's that the policy's filter drops has an infinite ratio and no gap.

Shapes: N rollouts, B of a micro-batch, T response tokens.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mentor_pl.runtime.collectives import all_max, all_sum
from mentor_pl.types import Rollouts


class SamplingGap:
    """Sums over micro-batches and ranks, so that a mean is over tokens.

    Args:
        device: of the rollouts.
        clip_range: least and greatest ratio of a token that the loss does not clip; none where it clips no tokens.
        cap: of importance weights.
    """

    def __init__(
        self, device: torch.device, clip_range: tuple[float, float] | None = None, cap: float | None = None
    ) -> None:
        self.clip_range, self.cap = clip_range, cap
        self._sums, self._max = torch.zeros(7, device=device), torch.zeros((), device=device)

    def add(self, rollouts: Rollouts, rows: Tensor, logprobs: Tensor) -> None:
        """The trainer's log π_old of the rollouts `rows` [B], [B, T] up to the longest of them.

        Args:
            rollouts: with what sampling kept.
        """
        columns = rollouts.train_mask, rollouts.drawn & rollouts.train_mask, rollouts.logprobs  # [N, T]
        trained, drawn, sampled = (column[rows, : logprobs.shape[1]] for column in columns)
        known = trained & sampled.isfinite()
        difference = logprobs.detach() - sampled
        ratio, gap = difference.exp(), difference.abs().where(known, 0)
        low, high = self.clip_range or (0.0, math.inf)
        sums = {
            "known": known.sum(),
            "gap": gap.sum(),
            "trained": trained.sum(),
            "clipped": (((ratio < low) | (ratio > high)) & trained).sum(),
            "drawn": drawn.sum(),
            "excess": difference.where(drawn, 0).expm1().sum(),  # ratio − 1, of which float32 loses nothing
            "capped": ((ratio >= (self.cap or math.inf)) & drawn).sum(),
        }
        self._sums += torch.stack(list(sums.values()))
        self._max = torch.maximum(self._max, gap.max())

    def metrics(self) -> dict[str, float]:
        """Of all ranks, by the names that they are logged under; on every rank."""
        known, gap, trained, clipped, drawn, excess, capped = all_sum(self._sums).tolist()
        found = {
            "logprob_gap/mean": gap / max(1, known),
            "logprob_gap/max": float(all_max(self._max)),
            "sampling_ratio/mean": 1 + excess / max(1, drawn),
        }
        if self.clip_range is not None:
            found["sampling_ratio/clipped"] = clipped / max(1, trained)
        if self.cap is not None:
            found["sampling_ratio/capped"] = capped / max(1, drawn)
        return {f"train/{name}": value for name, value in found.items()}
