"""One token: from logits to a distribution, its entropy, and a draw from it.

Shapes: N rows, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mentor_pl.decoding.params import SamplingParams


def log_distribution(logits: Tensor, sampling: SamplingParams, vocab_size: int) -> Tensor:
    """log p after temperature and filters, over the tokenizer's ids only: [N, ≥ V] -> [N, V] float32."""
    logits = logits[:, :vocab_size].float()
    if sampling.temperature > 0:
        logits = logits / sampling.temperature
    if 0 < sampling.top_k < vocab_size:
        min_logit = logits.topk(sampling.top_k, -1).values[:, -1:]
        logits = logits.masked_fill(logits < min_logit, -torch.inf)
    if sampling.top_p < 1:
        ordered, order = logits.softmax(-1).sort(-1, descending=True)
        outside = ordered.cumsum(-1) - ordered >= sampling.top_p  # the mass before a token already suffices
        logits = logits.masked_fill(outside.scatter(-1, order, outside), -torch.inf)
    return logits.log_softmax(-1)


def entropy(logp: Tensor, p: Tensor | None = None) -> Tensor:
    """H in nats: log p [N, V], and p itself where it is at hand -> [N]."""
    p = logp.exp() if p is None else p
    return -(p * logp.clamp(min=torch.finfo(logp.dtype).min)).sum(-1)


def margin(logp: Tensor) -> Tensor:
    """Difference of the two greatest probabilities: log p [N, V] -> [N]."""
    first, second = logp.topk(2, -1).values.exp().unbind(-1)
    return first - second


def kl(logp: Tensor, logq: Tensor) -> Tensor:
    """KL(p ‖ q) in nats: log p, log q [N, V] -> [N]; infinite where q leaves out what p says."""
    return torch.where(logp > -torch.inf, logp.exp() * (logp - logq), 0).sum(-1).clamp(min=0)


def draw(weights: Tensor, noise: Tensor) -> Tensor:
    """A draw by the exponential race: weights ∝ p [N, V] and exponential noise [N, V] -> ids [N].

    A race and not an inverse CDF: rounding of the logits then changes few tokens.
    """
    return (weights / noise).argmax(-1)
