"""Rollouts as one row of tokens, each prompt once, and the attention by which every rollout still sees its own.

    q₁ y₁₁ y₁₂ … y₁G   q₂ y₂₁ …

Whatever a decoder layer does token by token runs over this row: there is no padding in it, and the G copies of a prompt
are computed once. Attention alone works on rollouts: queries, keys and values are spread into rows `q y` and attended
to causally; of a prompt's queries one row's answers are kept, and the gradients of its copies are added up.

Shapes: B rollouts, S prompt tokens, T response tokens, U tokens of the row, n rollouts of a block, L its longest
(prompt and response), H query heads, J key heads, D head size, F = H·D or J·D.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from mentor_pl.models.attention import attending_by, check_plain, spans

SHARED_PREFIX_ATTENTION = "mentor_prefix_sharing"


@dataclass(frozen=True)
class Block:
    """Rollouts of like lengths, which attend in one call.

    Attributes:
        source: [n, L], places in the row of tokens; beyond a rollout's end any place.
        tokens: [·], places in the row of tokens that are the responses of these rollouts.
        places: [·], where these stand in n · L.
        prompts: rows from … to of the block that share a prompt, and where it starts and how long it is.
    """

    source: Tensor
    tokens: Tensor
    places: Tensor
    prompts: list[tuple[int, int, int, int]]


class SharedPrefixes:
    """The row of tokens of B rollouts; neighbours with equal prompts share theirs.

    Attributes:
        ids: [1, U] int64.
        positions: [1, U] int64, each token's place in its rollout.
        before: [B, T] int64, the place in the row of the token before each response token; 0 on padding.
        blocks: the rollouts that attend together.
        answers: [U] int64, each token's place among the blocks' outputs, these one behind the other.
        layers: how many have attended so far.
    """

    def __init__(
        self, prompt_ids: Tensor, prompt_lengths: Tensor, response_ids: Tensor, response_lengths: Tensor
    ) -> None:
        """Lay out prompts [B, S] of lengths [B] and responses [B, T] of lengths [B]."""
        new = _differs_from_the_one_before(prompt_ids, prompt_lengths).cpu()  # [B] bool
        prompts, responses = prompt_lengths.cpu(), response_lengths.cpu()
        read = torch.where(new, prompts, 0)
        starts = (read + responses).cumsum(0) - responses  # of the responses, [B]
        owner = new.cumsum(0) - 1  # [B]
        prompt_starts = (starts - prompts)[new][owner]  # [B]

        def to_device(tensor: Tensor) -> Tensor:
            return tensor.to(prompt_ids.device, non_blocking=True)

        both = torch.cat([prompt_ids, response_ids], 1)  # [B, S + T]
        first = torch.arange(len(both)) * both.shape[1]
        counts = _in_turn(read, responses)
        self.ids = both.flatten()[to_device(spans(_in_turn(first, first + prompt_ids.shape[1]), counts))][None]
        self.positions = to_device(spans(_in_turn(torch.zeros_like(prompts), prompts), counts))[None]
        steps = torch.arange(response_ids.shape[1])
        before = torch.where(steps == 0, (prompt_starts + prompts)[:, None], starts[:, None] + steps) - 1
        self.before = to_device(before.where(steps < responses[:, None], 0))

        answers = torch.empty(self.ids.shape[1], dtype=torch.int64)
        self.blocks: list[Block] = []
        behind = 0
        for rows in _alike(prompts + responses):
            p, t, ours = prompts[rows], responses[rows], owner[rows]
            lengths, places = p + t, torch.arange(len(rows))
            longest = int(lengths.max())
            source = torch.zeros(len(rows), longest, dtype=torch.int64)
            source[places.repeat_interleave(lengths), spans(torch.zeros_like(lengths), lengths)] = spans(
                _in_turn(prompt_starts[rows], starts[rows]), _in_turn(p, t)
            )
            tokens, spots = spans(starts[rows], t), spans(places * longest + p, t)
            answers[tokens] = behind + spots
            head = new[rows]
            answers[spans(prompt_starts[rows][head], p[head])] = behind + spans((places * longest)[head], p[head])
            sharing = [(ours == one).nonzero().squeeze(1) for one in ours.unique()]  # neighbours of the block
            copies = [
                (int(same[0]), int(same[-1]) + 1, int(prompt_starts[rows][same[0]]), int(p[same[0]]))
                for same in sharing
            ]
            self.blocks.append(Block(to_device(source), to_device(tokens), to_device(spots), copies))
            behind += source.numel()
        self.answers = to_device(answers)
        self.layers = 0


def _differs_from_the_one_before(ids: Tensor, lengths: Tensor) -> Tensor:
    """Whether a row of `ids` [B, S] of `lengths` [B] is another than the row above it: [B] bool."""
    real = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
    ids = ids.masked_fill(~real, -1)
    return torch.cat([lengths.new_ones(1, dtype=torch.bool), (ids[1:] != ids[:-1]).any(-1)])


def _in_turn(a: Tensor, b: Tensor) -> Tensor:
    """a₁, b₁, a₂, b₂, …: [B], [B] -> [2B]."""
    return torch.stack([a, b], 1).flatten()


def _alike(lengths: Tensor) -> list[Tensor]:
    """Rows [n] of each class of `lengths` [B]: up to 64, 77, 91, 108, 128, …; above, none is padded by a fifth."""
    classes = (4 * (lengths.clamp(min=64) - 1).log2()).floor()
    return [(classes == c).nonzero().squeeze(1) for c in classes.unique()]


class _Spread(torch.autograd.Function):
    """From tokens [U, F] to the rollouts of a block [n, L, F]; back, the gradients of a prompt's copies are added."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, block: Block) -> Tensor:
        ctx.block, ctx.shape = block, tokens.shape
        return tokens[block.source]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        block: Block = ctx.block
        total = grad.new_zeros(ctx.shape)
        total[block.tokens] = grad.flatten(0, 1)[block.places]
        for first, end, start, length in block.prompts:
            total[start : start + length] = grad[first:end, :length].sum(0)
        return total, None


class _Collect(torch.autograd.Function):
    """values [·, H, D] at `places` [U], each of which stands there once: [U, H, D]."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, places: Tensor) -> Tensor:
        ctx.shape = values.shape
        ctx.save_for_backward(places)
        return values[places]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        total = grad.new_zeros(ctx.shape)
        total[ctx.saved_tensors[0]] = grad
        return total, None


def attend_shared(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Attention of transformers' interface over `SharedPrefixes`, which come as `rows` through the model's arguments.

    Raises:
        UsageError: for models whose attention does more than a softmax of scaled products.
    """
    rows: SharedPrefixes | None = options.get("rows")
    check_plain(module, rows, options, "training")
    assert rows is not None
    rows.layers += 1
    window, outputs = options.get("sliding_window"), []
    for block in rows.blocks:
        q, k, v = (_by_rollout(states, block) for states in (query, key, value))
        near = _near(q.shape[2], window, q.device)
        output = scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=near,
            is_causal=near is None,
            dropout_p=options.get("dropout", 0.0),
            scale=options.get("scaling"),
            enable_gqa=q.shape[1] != k.shape[1],
        )
        outputs.append(output.transpose(1, 2).flatten(0, 1))  # [n · L, H, D]
    answers: Tensor = _Collect.apply(torch.cat(outputs) if len(outputs) > 1 else outputs[0], rows.answers)
    return answers[None], None


def _by_rollout(states: Tensor, block: Block) -> Tensor:
    """[1, H, U, D] -> [n, H, L, D]."""
    spread: Tensor = _Spread.apply(states[0].transpose(0, 1).flatten(1), block)
    by_head: Tensor = spread.unflatten(-1, (states.shape[1], -1))
    return by_head.transpose(1, 2)


def _near(length: int, window: int | None, device: torch.device) -> Tensor | None:
    """Which keys a query sees where a window ends within `length` places, [L, L] bool; else None: all before it."""
    if window is None or length <= window:
        return None
    places = torch.arange(length, device=device)
    distance = places[:, None] - places
    return (distance >= 0) & (distance < window)


# No mask function is registered beside it: transformers then makes no mask, and none is needed.
AttentionInterface.register(SHARED_PREFIX_ATTENTION, attend_shared)


def prefix_sharing(model: Any) -> AbstractContextManager[None]:
    """Let `model` attend over `SharedPrefixes`, in forward and backward; its own attention comes back afterwards."""
    return attending_by(SHARED_PREFIX_ATTENTION, model)
