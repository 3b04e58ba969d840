"""From hidden states through the output embedding to log π(y) and entropies, a chunk of tokens at a time.

    z = (W h + b) / τ        log π = log_softmax(z)        H = −Σ_v π_v log π_v
    ∂ log π(y) / ∂z = 1_y − π        ∂H / ∂z = −π (log π + H)

The backward pass computes a chunk's logits anew and turns them into their gradient in place, so two float32 buffers of
one chunk are all that is ever held of [M, V], whatever M. The gradient of W is summed over chunks in float32, even if W
is read in bfloat16.

Shapes: M tokens, C tokens of a chunk, V vocabulary, H hidden size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

CACHED_CHUNK, MAX_CHUNK = 2**21, 2**26  # elements of a buffer: 8 MiB stay in a processor's cache; 256 MiB at most


def chunk_tokens(vocab_size: int, hidden_size: int) -> int:
    """C: as many as stay in the cache, or H, since W and its gradient are gone through once per chunk."""
    return max(1, CACHED_CHUNK // vocab_size, min(hidden_size, MAX_CHUNK // vocab_size))


def buffer_bytes(tokens: int, vocab_size: int, hidden_size: int) -> int:
    """Bytes of the two float32 buffers that M `tokens` are gone through with."""
    return 2 * 4 * vocab_size * max(1, min(tokens, chunk_tokens(vocab_size, hidden_size)))


def head_logprobs(
    states: Tensor, targets: Tensor, head: Any, vocab_size: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """log π(y) and H of every token.

    Args:
        states: [M, H], the last hidden states.
        targets: [M] int64, the ids y.
        head: the output embedding, a linear map; under autocast it is applied in autocast's dtype.
        vocab_size: V, the ids that take part; rows of W beyond them get no gradient.
        temperature: τ.

    Returns:
        both [M] float32, differentiable once.
    """
    results: tuple[Tensor, Tensor] = _Head.apply(
        states, head.weight, getattr(head, "bias", None), targets, vocab_size, temperature
    )
    return results


class _Head(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, vocab_size: int, tau: float
    ) -> tuple[Tensor, Tensor]:
        kind = states.device.type
        ctx.dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else states.dtype
        ctx.vocab_size, ctx.tau = vocab_size, tau
        ctx.set_materialize_grads(False)  # a loss without entropies is spared their share of the backward pass
        logprobs, entropies = states.new_empty(2, len(states), dtype=torch.float32)
        with torch.autocast(kind, enabled=False):
            for part, _, _, logp, spare in _chunks(ctx, states, weight, bias):
                logprobs[part] = logp.gather(1, targets[part, None]).squeeze(1)
                entropies[part] = -torch.exp(logp, out=spare).mul_(logp).sum(-1)
        ctx.save_for_backward(states, weight, bias, targets, entropies)
        return logprobs, entropies

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_logprobs: Tensor | None, d_entropies: Tensor | None) -> tuple[Tensor | None, ...]:
        states, weight, bias, targets, entropies = ctx.saved_tensors
        d_states = torch.empty_like(states)
        d_weight = torch.zeros_like(weight, dtype=torch.float32)
        d_bias = None if bias is None else torch.zeros_like(bias, dtype=torch.float32)
        d_logprobs = torch.zeros_like(entropies) if d_logprobs is None else d_logprobs / ctx.tau  # [M]
        with torch.autocast(states.device.type, enabled=False):
            for part, read_states, read_weight, logp, spare in _chunks(ctx, states, weight, bias):
                d_logits = torch.exp(logp, out=spare)  # [C, V], so far π
                slope = -d_logprobs[part, None]
                if d_entropies is not None:
                    slope = logp.add_(entropies[part, None]).mul_(-d_entropies[part, None] / ctx.tau).add_(slope)
                d_logits.mul_(slope)[torch.arange(len(slope), device=slope.device), targets[part]] += d_logprobs[part]
                if d_bias is not None:
                    d_bias[: ctx.vocab_size] += d_logits.sum(0)
                d_logits = d_logits.to(ctx.dtype)
                d_states[part] = d_logits @ read_weight
                _add_product(d_weight[: ctx.vocab_size], d_logits.T, read_states)
        d_bias = None if d_bias is None else d_bias.to(bias.dtype)
        return d_states, d_weight.to(weight.dtype), d_bias, None, None, None


def _chunks(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None) -> Iterator[tuple[Any, ...]]:
    """Of every chunk: its slice of M; its states [C, H] and W [V, H] as they are read; log π and a buffer, [C, V]."""
    states, weight = states.to(ctx.dtype), weight[: ctx.vocab_size].to(ctx.dtype)
    bias = None if bias is None else bias[: ctx.vocab_size].to(ctx.dtype)
    size = max(1, min(len(states), chunk_tokens(*weight.shape)))
    buffers = torch.empty(2, size, ctx.vocab_size, device=states.device)
    for start in range(0, len(states), size):
        part = slice(start, min(start + size, len(states)))
        logits, logp = buffers[:, : part.stop - start]
        if ctx.dtype == torch.float32 and bias is None:
            torch.mm(states[part], weight.T, out=logits)
        else:
            logits.copy_(linear(states[part], weight, bias))
        if ctx.tau != 1:
            logits.div_(ctx.tau)
        yield part, states[part], weight, torch.log_softmax(logits, -1, out=logp), logits


def _add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    """total += a @ b, in the dtype of `total`."""
    if a.dtype == total.dtype:
        total.addmm_(a, b)
    else:
        total += a @ b
