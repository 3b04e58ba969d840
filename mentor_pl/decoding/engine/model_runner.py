"""One model reading many rollouts at once: a token each, or packed spans, over its own ragged cache.

Shapes: R slots, A rows of a step, B spans and T tokens of a chunk, F places whose logits are wanted, W logits ≥ V.
"""

from __future__ import annotations

from functools import cached_property
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from mentor_pl.decoding.engine.attention_metadata import AttentionMetadata, Decode, Varlen
from mentor_pl.decoding.engine.compiling import compiled
from mentor_pl.decoding.engine.kv_cache import KVCache
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.models.attention import check_attended

CHUNK_TOKENS = 4096  # rows × longest span of a packed forward: bounds the memory of its activations and masks
SPAN_TOKENS = 1024  # tokens of one row in it


class ModelRunner:
    """A model and its cache.

    Args:
        model: a Hugging Face causal LM, or what is called as one.
        pages: of R slots, on the model's device.
        torch_compile: whether steps of one token a row go through `torch.compile`.
    """

    def __init__(self, model: Any, pages: PageTable, torch_compile: bool = False) -> None:
        self.model, self.pages, self.device = model, pages, pages.table.device
        self.compiled = compiled(model.forward, type(model).__name__, self.device) if torch_compile else None
        self.cache = KVCache(pages)
        self.read_in_place = False  # whether a kernel read pages where they lie, in the last forward

    @cached_property
    def _cache_argument(self) -> str:
        """What the model calls its cache: transformers' name from 5.24 on, or the one before, which 5.40 drops."""
        return "cache" if "cache" in signature(self.model.forward).parameters else "past_key_values"

    def _call(self, ids: Tensor, positions: Tensor, metadata: AttentionMetadata, keep: int | Tensor) -> Tensor:
        self.cache.metadata = metadata
        # a cache's buffers are made by a plain forward
        fast = self.compiled if isinstance(metadata, Decode) and self.cache.keys else None
        output = (fast or self.model)(
            input_ids=ids,
            position_ids=positions,
            use_cache=True,
            logits_to_keep=keep,
            metadata=metadata,
            **{self._cache_argument: self.cache},
        )
        check_attended(self.model, metadata.layers)
        self.read_in_place = metadata.read_in_place
        logits: Tensor = output.logits
        return logits

    def step(self, tokens: Tensor, positions: Tensor, width: int) -> Tensor:
        """Feed `tokens` [A] at `positions` [A] to the first A slots; the logits after them, [A, W].

        Args:
            width: K, at least the greatest position plus 1.
        """
        return self._call(tokens[:, None], positions[:, None], Decode(positions, width, self.pages), 1)[:, -1]

    def forward(
        self, tokens: Tensor, slots: Tensor, starts: Tensor, counts: Tensor, scored_positions: Tensor
    ) -> Tensor:
        """Feed packed spans and return the logits after the tokens `scored_positions` [F] of them, [F, W].

        In as few forwards as the bounds above allow; a span that is too long is fed in parts.

        Args:
            tokens: [T], on the device: `counts[b]` tokens for `slots[b]`, to stand from `starts[b]` on, for each b.
            slots, starts, counts: [B] int64 on the CPU.
            scored_positions: [F] int64 on the CPU, places in `tokens` in ascending order; none of them is all right.
        """
        sizes = counts.tolist()
        if len(sizes) * max(sizes) <= CHUNK_TOKENS and max(sizes) <= SPAN_TOKENS:
            return self._forward_fitting(tokens, slots, starts, counts, scored_positions)
        logits: list[Tensor] = []
        fed = 0
        for parts in _forwards(sizes):
            spans, offsets, some = torch.tensor(parts).unbind(1)
            end = fed + int(some.sum())
            here = scored_positions[(scored_positions >= fed) & (scored_positions < end)] - fed
            logits.append(self._forward_fitting(tokens[fed:end], slots[spans], starts[spans] + offsets, some, here))
            fed = end
        return torch.cat(logits)

    def _forward_fitting(
        self, tokens: Tensor, slots: Tensor, starts: Tensor, counts: Tensor, scored_positions: Tensor
    ) -> Tensor:
        metadata = Varlen(slots, starts, counts, self.pages)
        # a model evaluates its head somewhere; where nothing is wanted, at one token
        keep = scored_positions if len(scored_positions) else torch.zeros(1, dtype=torch.int64)
        return self.read(tokens, metadata, keep.to(self.device))[: len(scored_positions)]

    def read(self, tokens: Tensor, spans: Varlen, keep: Tensor) -> Tensor:
        """Feed `tokens` [T] where `spans` says, in one forward; the logits after the places `keep` [F], [F, W]."""
        return self._call(tokens[None], spans.positions[None], spans, keep)[0]

    def prefill(self, prompts: list[list[int]], slots: list[int]) -> None:
        """Read whole prompts into `slots`."""
        parts = [(prompt, slot) for prompt, slot in zip(prompts, slots, strict=True) if prompt]
        parts.sort(key=lambda part: len(part[0]))  # so that spans of like lengths share a forward
        if not parts:
            return
        tokens = torch.tensor([token for prompt, _ in parts for token in prompt], device=self.device)
        counts = torch.tensor([len(prompt) for prompt, _ in parts])
        owners = torch.tensor([slot for _, slot in parts])
        self.forward(tokens, owners, torch.zeros_like(counts), counts, torch.zeros(0, dtype=torch.int64))


def _forwards(counts: list[int]) -> list[list[tuple[int, int, int]]]:
    """Divide spans of `counts` tokens among forwards, in order: (span, offset in it, tokens) of each forward's parts.

    A forward has one part of a span at most, parts of SPAN_TOKENS at most, and a padded size of CHUNK_TOKENS at most
    where it has several.
    """
    forwards: list[list[tuple[int, int, int]]] = []
    longest = 0
    for span, count in enumerate(counts):
        for offset in range(0, count, SPAN_TOKENS):
            part = (span, offset, min(SPAN_TOKENS, count - offset))
            longest = max(longest, part[2])
            if offset or not forwards or (len(forwards[-1]) + 1) * longest > CHUNK_TOKENS:
                forwards.append([])
                longest = part[2]
            forwards[-1].append(part)
    return forwards
