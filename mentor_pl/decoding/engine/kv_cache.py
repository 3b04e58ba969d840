"""A KV cache whose rows have lengths of their own, and the attention that reads it.

Every rollout owns a slot, and a slot has pages (`pages.py`). Nothing is ever erased: a forward writes at the places
that its metadata give (`attention_metadata.py`), and reads up to the place of each query, so a rejected draft is rolled
back by moving a number.

Shapes: N pages of P places, H query heads, J key heads, D head size.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.cache_utils import Cache

from mentor_pl.decoding.engine.attention_metadata import AttentionMetadata
from mentor_pl.decoding.engine.paged_attention import usable
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.models.attention import attending_by, check_plain

CACHED_ATTENTION = "mentor_ragged"


class KVCache(Cache):
    """Keys and values of a model that writes its cache through `update`, in the pages that `pages` hands out.

    Set `metadata` before each forward. Buffers are zeroed when the first forward reaches their layer: what has never
    been written is masked, but a NaN in it would still leak through a product with 0.
    """

    def __init__(self, pages: PageTable) -> None:
        super().__init__(layers=[])
        self.pages = pages
        self.keys: list[Tensor] = []  # per layer, [N, J, P, D]
        self.values: list[Tensor] = []
        self.metadata: AttentionMetadata | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Write the fed tokens' keys and values and return all pages, [N, J, P, D] each, for `attend_cached`."""
        assert self.metadata is not None
        if layer_idx == len(self.keys):
            for buffers, new in ((self.keys, key_states), (self.values, value_states)):
                buffers.append(self._buffer(new))
        keys, values = self.keys[layer_idx], self.values[layer_idx]
        self.metadata.write(keys, key_states)
        self.metadata.write(values, value_states)
        return keys, values

    def _buffer(self, new: Tensor) -> Tensor:
        """Pages [N, J, P, D], whose places lie one behind the other where a row is several pages, as kernels ask."""
        pages, heads, size = self.pages, new.shape[1], new.shape[3]
        if pages.whole:
            buffer = new.new_zeros(pages.count, heads, pages.size, size)
        else:
            buffer = new.new_zeros(pages.count, pages.size, heads, size).transpose(1, 2)
        torch._dynamo.mark_static(buffer, [1, 3] if pages.whole else [1, 2, 3])  # for `torch_compile`
        return buffer

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Rows have no length in common; positions are always given."""
        return 0

    def copy(self, source: int, targets: list[int], length: int) -> None:
        """Let the first `length` places of `targets` be those of slot `source`; pages that they share are."""
        parts = [part for target in targets for part in self.pages.apart(source, target, length)]
        for buffer in (*self.keys, *self.values):
            for page, copy, places in parts:
                buffer[copy, :, :places].copy_(buffer[page, :, :places])


def attend_cached(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Attention of transformers' interface over a `KVCache`; `metadata` comes through the model's arguments.

    Raises:
        UsageError: for models whose attention does more than a softmax of scaled products.
    """
    metadata: AttentionMetadata | None = options.get("metadata")
    check_plain(module, metadata, options, "the decoding engine")
    assert metadata is not None
    metadata.layers += 1
    heads, (_, key_heads, page, size) = query.shape[1], key.shape
    scale, window = options.get("scaling"), options.get("sliding_window")
    if metadata.paged and usable(heads, key_heads, size, page, query.dtype, query.device):
        metadata.read_in_place = True
        return metadata.attend(query, key, value, scale, window), None
    return metadata.attend_gathered(query, key, value, scale, window), None


# No mask function is registered beside it: transformers then makes no mask, and `attend_cached` makes the one it needs.
AttentionInterface.register(CACHED_ATTENTION, attend_cached)


def cached_attention(*models: Any) -> AbstractContextManager[None]:
    """Let `models` attend through their ragged caches; their own attention comes back afterwards."""
    return attending_by(CACHED_ATTENTION, *models)
