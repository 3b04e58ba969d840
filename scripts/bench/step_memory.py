"""Memory of one update at a large vocabulary: a forward pass, the clipped loss with entropies, and its backward pass.

The policy has no weights to speak of but its embeddings, so what is measured is what the logits cost.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from process import measured
from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.models.loading import load_policy
from mentor_pl.models.source import ModelSource

PROMPT = 16  # tokens


@dataclass(frozen=True)
class Update:
    """A forward and backward pass over `rows` rollouts of `tokens` response tokens, under the policy in `folder`."""

    folder: Path
    rows: int
    tokens: int
    device: str


@dataclass(frozen=True)
class Cost:
    """Peak bytes above the loaded policy, seconds, and the gradient's norm, by which the two can be seen to agree."""

    memory: int
    seconds: float
    norm: float


def chunked(update: Update) -> Cost:
    """As MentorModule does it: `token_logprobs`, in chunks."""
    return _cost(update, _token_logprobs)


def plain(update: Update) -> Cost:
    """The logits of every token at once, then log_softmax, gather and entropies."""
    return _cost(update, _full_logits)


def _token_logprobs(policy: Any, prompts: Tensor, responses: Tensor) -> tuple[Tensor, Tensor]:
    lengths = [torch.full((len(ids),), ids.shape[1], device=ids.device) for ids in (prompts, responses)]
    size = policy.config.vocab_size
    values = policy.token_logprobs(prompts, lengths[0], responses, lengths[1], vocab_size=size)
    return values.logprobs, values.entropies


def _full_logits(policy: Any, prompts: Tensor, responses: Tensor) -> tuple[Tensor, Tensor]:
    logits = policy(input_ids=torch.cat([prompts, responses], 1), use_cache=False).logits
    logp = logits[:, prompts.shape[1] - 1 : -1].log_softmax(-1)
    return logp.gather(-1, responses[..., None]).squeeze(-1), -(logp.exp() * logp).sum(-1)


def _cost(update: Update, score: Any) -> Cost:
    policy = load_policy(ModelSource(str(update.folder), "policy")).to(update.device)
    generator = torch.Generator().manual_seed(0)
    size = policy.config.vocab_size
    prompts = torch.randint(size, (update.rows, PROMPT), generator=generator).to(update.device)
    responses = torch.randint(size, (update.rows, update.tokens), generator=generator).to(update.device)
    advantages = torch.linspace(-1, 1, update.rows, device=update.device)[:, None].expand_as(responses)
    none, zeros = torch.zeros_like(responses, dtype=torch.bool), torch.zeros_like(advantages)
    started = time.perf_counter()
    with measured(update.device) as memory:
        logprobs, entropies = score(policy, prompts, responses)
        loss = ClippedSurrogate()(
            LossInputs(
                logprobs=logprobs,
                entropies=entropies,
                old_logprobs=logprobs.detach(),
                advantages=advantages,
                mask=~none,
                origin=torch.zeros(update.rows, dtype=torch.int64, device=update.device),
                gate_weights=zeros,
                guided=none,
                replaced=none,
                given=none,
            )
        )
        (loss.total / responses.numel()).backward()
    norm = torch.stack([p.grad.norm() for p in policy.parameters() if p.grad is not None]).norm()
    return Cost(memory.peak, time.perf_counter() - started, norm.item())
