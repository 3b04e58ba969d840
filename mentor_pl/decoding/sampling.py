"""One token: from logits to a distribution, a draw from it, and a draw from π_mix = (1 − w)π_θ + wπ* [6]–[8].

The draw from π_mix is Algorithm 1 with its acceptance test split at the coin. With v uniform on (0, 1], a draft y from
π_θ is guided where v ≤ w, and redrawn from the normalised positive part of (π* − π_θ) where v ≤ w·(1 − m),
m = min(1, π*(y) / π_θ(y)). Since π_mix − π_θ = w(π* − π_θ), that is Algorithm 1's acceptance and its residual, and
the marginal is π_mix exactly.

Shapes: N rows, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mentor_pl.errors import UsageError

MIN_RESIDUAL = 1e-6  # a residual with less mass than this is rounding: the draft stands


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        temperature: divides both models' logits before anything else; 0 is greedy.
        top_p: smallest set of tokens with at least this mass, per model; 1 is off.
        top_k: the k likeliest tokens, per model; 0 is off.
        max_new_tokens: length at which a rollout is truncated.

    Raises:
        UsageError: for a value outside its range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 1024

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise UsageError(f"sampling temperature is {self.temperature}: give 0 (greedy) or a positive number")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"sampling top_p is {self.top_p}, but it is a share of mass in (0, 1]: 1 is off")
        if self.top_k < 0:
            raise UsageError(f"sampling top_k is {self.top_k}, but it counts tokens: 0 is off")
        if self.max_new_tokens < 1:
            raise UsageError(f"sampling max_new_tokens is {self.max_new_tokens}: give at least 1")


def log_distribution(logits: Tensor, sampling: Sampling, vocab_size: int) -> Tensor:
    """log p after temperature and filters, over the tokenizer's ids only: [N, ≥ V] -> [N, V] float32."""
    logits = logits[:, :vocab_size].float()
    if sampling.temperature > 0:
        logits = logits / sampling.temperature
    if 0 < sampling.top_k < vocab_size:
        least = logits.topk(sampling.top_k, -1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if sampling.top_p < 1:
        ordered, order = logits.softmax(-1).sort(-1, descending=True)
        outside = ordered.cumsum(-1) - ordered >= sampling.top_p  # the mass before a token already suffices
        logits = logits.masked_fill(outside.scatter(-1, order, outside), -torch.inf)
    return logits.log_softmax(-1)


def entropy(logp: Tensor, p: Tensor | None = None) -> Tensor:
    """H in nats: log p [N, V], and p itself where it is at hand -> [N]."""
    p = logp.exp() if p is None else p
    return -(p * logp.clamp(min=torch.finfo(logp.dtype).min)).sum(-1)


def draw(weights: Tensor, noise: Tensor) -> Tensor:
    """A draw by the exponential race: weights ∝ p [N, V] and exponential noise [N, V] -> ids [N].

    A race and not an inverse CDF: rounding of the logits then changes few tokens.
    """
    return (weights / noise).argmax(-1)


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
