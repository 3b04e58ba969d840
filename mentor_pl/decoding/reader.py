"""One model reading many rollouts at once: a token each, or packed spans, over its own ragged cache.

Shapes: R slots, A rows of a step, B spans and T tokens of a chunk, F places whose logits are wanted, W logits ≥ V.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mentor_pl.decoding.cache import OneEach, Packed, Placement, RaggedCache

CHUNK_TOKENS = 4096  # tokens of one packed forward: bounds the memory of its activations and masks
SPAN_TOKENS = 1024  # of one row in it, since a chunk's attention is padded to its longest span


class Reader:
    """A model and its cache.

    Args:
        model: a Hugging Face causal LM, or what is called as one.
        slots: R, rollouts read at a time.
        length: places of a slot.
        device: of the model.
    """

    def __init__(self, model: Any, slots: int, length: int, device: torch.device) -> None:
        self.model, self.device = model, device
        self.cache = RaggedCache(slots, length)

    def _forward(self, ids: Tensor, positions: Tensor, placement: Placement, keep: int | Tensor) -> Tensor:
        self.cache.placement = placement
        output = self.model(
            input_ids=ids,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=keep,
            placement=placement,
        )
        logits: Tensor = output.logits
        return logits

    def step(self, tokens: Tensor, positions: Tensor, width: int) -> Tensor:
        """Feed `tokens` [A] at `positions` [A] to the first A slots; the logits after them, [A, W].

        Args:
            width: K, at least the greatest position plus 1.
        """
        return self._forward(tokens[:, None], positions[:, None], OneEach(positions, width), 1)[:, -1]

    def read(self, tokens: Tensor, slots: Tensor, starts: Tensor, counts: Tensor, heads: Tensor) -> Tensor:
        """Feed a packed chunk and return the logits after the tokens `heads` [F] of it, [F, W].

        Args:
            tokens: [T], on the device: `counts[b]` tokens for `slots[b]`, to stand from `starts[b]` on, for each b.
            slots, starts, counts: [B] int64 on the CPU.
            heads: [F] int64, places in `tokens`.
        """
        placement = Packed(slots, starts, counts, self.cache.slots, self.device)
        return self._forward(tokens[None], placement.positions[None], placement, heads.to(self.device))[0]

    def prefill(self, prompts: list[list[int]], slots: list[int]) -> int:
        """Read whole prompts into `slots`, in as few forwards as the bounds above allow; the number of forwards."""
        forwards = start = 0
        nothing = torch.zeros(1, dtype=torch.int64)
        while any(len(prompt) > start for prompt in prompts):
            left = [(prompt[start : start + SPAN_TOKENS], slot) for prompt, slot in zip(prompts, slots, strict=True)]
            left = sorted((part for part in left if part[0]), key=lambda part: len(part[0]))
            while left:
                count = max(1, CHUNK_TOKENS // len(left[-1][0]))
                chunk, left = left[-count:], left[:-count]
                tokens = torch.tensor([token for span, _ in chunk for token in span], device=self.device)
                counts = torch.tensor([len(span) for span, _ in chunk])
                owners = torch.tensor([slot for _, slot in chunk])
                self.read(tokens, owners, torch.full_like(counts, start), counts, nothing)
                forwards += 1
            start += SPAN_TOKENS
        return forwards
