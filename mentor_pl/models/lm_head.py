"""From hidden states through the output embedding to log π(y), entropies and divergences, a chunk of tokens at a time.

    z = (W h + b) / τ        log π = log_softmax(z)        H = −Σ_v π_v log π_v
    ∂ log π(y) / ∂z = 1_y − π        ∂H / ∂z = −π (log π + H)

and from an expert's hidden states, through its own embedding at the same τ, with log π* = log_softmax(z*)

    KL(π ‖ π*) = Σ_v π_v (log π_v − log π*_v)        ∂KL(π ‖ π*) / ∂z = π (log π − log π* − KL(π ‖ π*))
    KL(π* ‖ π) = Σ_v π*_v (log π*_v − log π_v)       ∂KL(π* ‖ π) / ∂z = π − π*

The backward pass computes a chunk's logits anew and turns them into their gradient in place, so two float32 buffers of
one chunk (three with an expert) are all that is ever held of [M, V], whatever M. The gradient of W is summed over
chunks in float32, even if W is read in bfloat16; where W is frozen there is none.

Shapes: M tokens, C tokens of a chunk, V vocabulary, H hidden size, H' the expert's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

CACHED_CHUNK, MAX_CHUNK = 2**21, 2**26  # elements of a buffer: 8 MiB stay in a processor's cache; 256 MiB at most


def chunk_tokens(vocab_size: int, hidden_size: int) -> int:
    """C: as many as stay in the cache, or H, since W and its gradient are gone through once per chunk."""
    return max(1, CACHED_CHUNK // vocab_size, min(hidden_size, MAX_CHUNK // vocab_size))


def buffer_bytes(tokens: int, vocab_size: int, hidden_size: int, *, expert: bool = False) -> int:
    """Bytes of the float32 buffers that M `tokens` are gone through with: two, and a third beside an expert."""
    return (3 if expert else 2) * 4 * vocab_size * max(1, min(tokens, chunk_tokens(vocab_size, hidden_size)))


class TokenValues(NamedTuple):
    """What is known of tokens under a model, in nats; all float32 of one shape.

    A tuple, since sharding must find the tensors by which gradients come back.

    Attributes:
        logprobs: log π(y).
        entropies: H.
        choice_logprobs: log π of another id at each token's place.
        reverse_kl: KL(π ‖ π*) over the vocabulary.
        forward_kl: KL(π* ‖ π) over the vocabulary.
    """

    logprobs: Tensor
    entropies: Tensor
    choice_logprobs: Tensor | None = None
    reverse_kl: Tensor | None = None
    forward_kl: Tensor | None = None


@dataclass(frozen=True)
class ExpertStates:
    """Where π* comes from; it gets no gradient.

    Attributes:
        states: [M, H'], the expert's last hidden states before the same tokens.
        head: its output embedding; under autocast it is applied in autocast's dtype.
    """

    states: Tensor
    head: Any


def head_logprobs(
    states: Tensor,
    targets: Tensor,
    head: Any,
    vocab_size: int,
    temperature: float,
    *,
    choices: Tensor | None = None,
    expert: ExpertStates | None = None,
) -> TokenValues:
    """log π(y) and H of every token.

    Args:
        states: [M, H], the last hidden states.
        targets: [M] int64, the ids y.
        head: the output embedding, a linear map; under autocast it is applied in autocast's dtype.
        vocab_size: V, the ids that take part; rows of W beyond them get no gradient.
        temperature: τ.
        choices: [M] int64, other ids whose log π is wanted as well.
        expert: from which both divergences are wanted.

    Returns:
        each [M] float32, differentiable once; None of what is not asked for.
    """
    bias = getattr(head, "bias", None)
    values = _Head.apply(states, head.weight, bias, targets, choices, expert, vocab_size, temperature)
    return TokenValues(*values)


@torch.no_grad()
def head_choices(states: Tensor, head: Any, vocab_size: int) -> Tensor:
    """The likeliest id of every token, [M] int64; arguments as for `head_logprobs`."""
    reader = _Reader.of(states, head.weight, getattr(head, "bias", None), vocab_size, _dtype_of(states))
    (buffer,) = reader.buffers(1)
    choices = torch.empty(len(states), dtype=torch.int64, device=states.device)
    with torch.autocast(states.device.type, enabled=False):
        for part in reader.parts():
            choices[part] = reader.logits(part, 1.0, buffer).argmax(-1)
    return choices


class _Head(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        choices: Tensor | None,
        expert: ExpertStates | None,
        vocab_size: int,
        tau: float,
    ) -> tuple[Tensor | None, ...]:
        ctx.expert, ctx.vocab_size, ctx.tau = expert, vocab_size, tau
        ctx.dtype, ctx.expert_dtype = _dtype_of(states), None if expert is None else _dtype_of(expert.states)
        ctx.set_materialize_grads(False)  # what a loss leaves out is spared its share of the backward pass
        logprobs, entropies = states.new_empty(2, len(states), dtype=torch.float32)
        choice_logprobs = None if choices is None else torch.empty_like(logprobs)
        reverse_kl, forward_kl = (None if expert is None else torch.empty_like(logprobs) for _ in range(2))
        with torch.autocast(states.device.type, enabled=False):
            for part, _, _, logp, expert_logp, spare in _chunks(ctx, states, weight, bias):
                logprobs[part] = logp.gather(1, targets[part, None]).squeeze(1)
                entropies[part] = -torch.exp(logp, out=spare).mul_(logp).sum(-1)
                if choices is not None and choice_logprobs is not None:
                    choice_logprobs[part] = logp.gather(1, choices[part, None]).squeeze(1)
                if reverse_kl is not None and forward_kl is not None:
                    torch.exp(logp, out=spare)
                    gap = logp.sub_(expert_logp)
                    reverse_kl[part] = spare.mul_(gap).sum(-1)
                    forward_kl[part] = -expert_logp.exp_().mul_(gap).sum(-1)
        ctx.save_for_backward(states, weight, bias, targets, choices, entropies, reverse_kl)
        return logprobs, entropies, choice_logprobs, reverse_kl, forward_kl

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor | None) -> tuple[Tensor | None, ...]:
        states, weight, bias, targets, choices, entropies, reverse_kl = ctx.saved_tensors
        d_states = torch.empty_like(states)
        d_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        d_bias = None if bias is None or not ctx.needs_input_grad[2] else torch.zeros_like(bias, dtype=torch.float32)
        # ∂/∂z = π (level + on_logp (log π + H) − d_reverse log π*) + what falls on y and the choice − d_forward π*
        d_logprobs, d_entropies, d_choice, d_reverse, d_forward = (s if s is None else s / ctx.tau for s in slopes)
        d_logprobs = torch.zeros_like(entropies) if d_logprobs is None else d_logprobs  # [M], as all of them
        level, on_logp, ids = -d_logprobs, None, [(targets, d_logprobs)]
        if d_entropies is not None:
            on_logp = -d_entropies
        if d_choice is not None:
            level, ids = level - d_choice, [*ids, (choices, d_choice)]
        if d_reverse is not None:
            level = level - d_reverse * (entropies + reverse_kl)
            on_logp = d_reverse if on_logp is None else on_logp + d_reverse
        if d_forward is not None:
            level = level + d_forward
        with torch.autocast(states.device.type, enabled=False):
            for part, read_states, read_weight, logp, expert_logp, spare in _chunks(ctx, states, weight, bias):
                d_logits = torch.exp(logp, out=spare)  # [C, V], so far π
                slope = level[part, None]
                if on_logp is not None:
                    slope = logp.add_(entropies[part, None]).mul_(on_logp[part, None]).add_(slope)
                if d_reverse is not None:
                    slope.addcmul_(expert_logp, d_reverse[part, None], value=-1)
                d_logits.mul_(slope)
                for chosen, d_chosen in ids:
                    d_logits[torch.arange(len(slope), device=slope.device), chosen[part]] += d_chosen[part]
                if d_forward is not None:
                    d_logits.addcmul_(expert_logp.exp_(), d_forward[part, None], value=-1)
                if d_bias is not None:
                    d_bias[: ctx.vocab_size] += d_logits.sum(0)
                d_logits = d_logits.to(ctx.dtype)
                d_states[part] = d_logits @ read_weight
                if d_weight is not None:
                    _add_product(d_weight[: ctx.vocab_size], d_logits.T, read_states)
        d_bias = None if d_bias is None else d_bias.to(bias.dtype)
        d_weight = None if d_weight is None else d_weight.to(weight.dtype)
        return d_states, d_weight, d_bias, None, None, None, None, None


def _chunks(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None) -> Iterator[tuple[Any, ...]]:
    """Of every chunk: its slice of M; states [C, H] and W [V, H] as they are read; log π, log π*, a buffer, [C, V]."""
    ours, theirs = _Reader.of(states, weight, bias, ctx.vocab_size, ctx.dtype), None
    if ctx.expert is not None:
        head = ctx.expert.head
        bias = getattr(head, "bias", None)
        theirs = _Reader.of(ctx.expert.states, head.weight, bias, ctx.vocab_size, ctx.expert_dtype)
    buffers = ours.buffers(2 if theirs is None else 3)
    for part in ours.parts():
        spare, logp, *expert_logp = buffers[:, : part.stop - part.start]
        torch.log_softmax(ours.logits(part, ctx.tau, spare), -1, out=logp)
        if theirs is not None:
            torch.log_softmax(theirs.logits(part, ctx.tau, spare), -1, out=expert_logp[0])
        yield part, ours.states[part], ours.weight, logp, expert_logp[0] if expert_logp else None, spare


class _Reader(NamedTuple):
    """A head over states [M, H]: W [V, H] and b [V], all in the dtype that they are multiplied in."""

    states: Tensor
    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, states: Tensor, weight: Tensor, bias: Tensor | None, vocab_size: int, dtype: torch.dtype) -> _Reader:
        cut = None if bias is None else bias[:vocab_size].to(dtype)
        return cls(states.to(dtype), weight[:vocab_size].to(dtype), cut)

    @property
    def chunk(self) -> int:
        return max(1, min(len(self.states), chunk_tokens(*self.weight.shape)))

    def parts(self) -> Iterator[slice]:
        """The chunks, as slices of M."""
        for start in range(0, len(self.states), self.chunk):
            yield slice(start, min(start + self.chunk, len(self.states)))

    def buffers(self, count: int) -> Tensor:
        """[count, C, V]."""
        return torch.empty(count, self.chunk, len(self.weight), device=self.states.device)

    def logits(self, part: slice, tau: float, buffer: Tensor) -> Tensor:
        """(W h + b) / τ of a chunk, [C, V], which overwrites `buffer` [≥ C, V]."""
        logits = buffer[: part.stop - part.start]
        if self.weight.dtype == torch.float32 and self.bias is None:
            torch.mm(self.states[part], self.weight.T, out=logits)
        else:
            logits.copy_(linear(self.states[part], self.weight, self.bias))
        return logits if tau == 1 else logits.div_(tau)


def _dtype_of(states: Tensor) -> torch.dtype:
    """What a head is applied in: autocast's dtype, or that of the states."""
    kind = states.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else states.dtype


def _add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    """total += a @ b, in the dtype of `total`."""
    if a.dtype == total.dtype:
        total.addmm_(a, b)
    else:
        total += a @ b
