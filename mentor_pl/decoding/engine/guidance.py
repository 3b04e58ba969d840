"""How the expert takes part in a call of a sampler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.gates import Gate
from mentor_pl.decoding.distribution import draw
from mentor_pl.decoding.engine.lookahead import LookaheadSchedule

MIN_RESIDUAL = 1e-6  # a residual with less mass than this is rounding: the draft stands

# (log π_θ [F, V], log π* [F, V], drafts [F], w [F], coins [F], noise [F, V]) -> ids [F], replaced [F] bool
Decision = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Guidance:
    """Gate, rule and schedule of mixed-policy rollouts.

    Attributes:
        gate: the expert's weight at each token.
        every: whether every draft must answer to the expert, or the guided ones alone.
        decide: what becomes of a draft that must.
        schedule: when the expert is called.
    """

    gate: Gate
    every: bool
    decide: Decision
    schedule: LookaheadSchedule


def settle_guided(
    policy: Tensor, expert: Tensor, draft: Tensor, weights: Tensor, coin: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """The coin's rule: a guided draft becomes a draw from π*, every other draft stands.

    Args:
        policy: [N, V] log π_θ.
        expert: [N, V] log π*.
        draft: [N] ids drawn from π_θ.
        weights: [N] w.
        coin: [N] v, uniform on (0, 1]; the draft is guided where v ≤ w.
        noise: [N, V] exponential noise of the residual's own stream.

    Returns:
        ids [N], replaced [N] bool (the draft was dropped).
    """
    chosen = draft[:, None]
    ratio = (expert.gather(1, chosen) - policy.gather(1, chosen)).squeeze(1).exp().clamp(max=1)  # [N]
    residual = (expert.exp() - policy.exp()).clamp(min=0)  # [N, V]
    replaced = (coin <= weights * (1 - ratio)) & (residual.sum(-1) > MIN_RESIDUAL)
    return torch.where(replaced, draw(residual, noise), draft), replaced


def accept_or_redraw(
    policy: Tensor, expert: Tensor, draft: Tensor, weights: Tensor, coin: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """Algorithm 1's rule: accept y with probability min(1, π_mix(y) / π_θ(y)), else draw from (π_mix − π_θ)⁺.

    Arguments and results as in `settle_guided`. The draft is rejected where 1 − v exceeds the ratio, so that both
    rules come to the same on the same noise.
    """
    p, q, w = policy.exp(), expert.exp(), weights[:, None]
    mixture = (1 - w) * p + w * q  # [N, V]
    chosen = draft[:, None]
    ratio = (mixture.gather(1, chosen) / p.gather(1, chosen)).squeeze(1).clamp(max=1)  # [N]
    residual = (mixture - p).clamp(min=0)
    replaced = (coin <= 1 - ratio) & (residual.sum(-1) > MIN_RESIDUAL * weights)
    return torch.where(replaced, draw(residual, noise), draft), replaced
