"""Where the tokens of one forward stand in a KV cache, and their attention to what it holds.

One token for each of the first slots (`Decode`), or several tokens of some slots, packed one behind the other without
padding (`Varlen`). The cache writes by it and attention reads by it. Query heads that share a key head are folded into
the query axis, so that keys are never repeated.

Shapes: R slots, N pages of P places, M pages of a slot at most, A rows of a step, B rows and T tokens of a packed
chunk, C longest span of a chunk, K keys read, H query heads, J key heads, G = H / J, D head size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from mentor_pl.decoding.engine.paged_attention import Chunks, Rows, attend_in_chunks, attend_pages
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.models.attention import spans


class AttentionMetadata(ABC):
    """Where the tokens of one forward stand, shared by all layers.

    Attributes:
        layers: how many have attended.
        paged: whether rows are several pages.
        read_in_place: whether a kernel read pages where they lie.
    """

    def __init__(self, pages: PageTable) -> None:
        self.layers, self.paged, self.read_in_place = 0, not pages.whole, False
        self._masks: dict[tuple[int | None, torch.dtype], Tensor] = {}

    @abstractmethod
    def write(self, buffer: Tensor, new: Tensor) -> None:
        """Store keys or values [·, J, ·, D] of the fed tokens in `buffer` [N, J, P, D]."""

    @abstractmethod
    def read(self, buffer: Tensor) -> Tensor:
        """What the queries may attend to: [B, J, K, D]."""

    @abstractmethod
    def attend(self, query: Tensor, keys: Tensor, values: Tensor, scale: float | None, window: int | None) -> Tensor:
        """Attention of queries as the model makes them to the pages [N, J, P, D] of a cache: [·, ·, H, D]."""

    def attend_gathered(
        self, query: Tensor, keys: Tensor, values: Tensor, scale: float | None, window: int | None
    ) -> Tensor:
        """Likewise, where no kernel reads pages: over what `read` makes of them."""
        heads, key_heads = query.shape[1], keys.shape[1]
        mask = self.mask(window, heads // key_heads, query.dtype)
        read = self.read(keys), self.read(values)
        output = scaled_dot_product_attention(self.fold(query, key_heads), *read, attn_mask=mask, scale=scale)
        return self.unfold(output, heads)

    @abstractmethod
    def fold(self, query: Tensor, key_heads: int) -> Tensor:
        """Queries as the model makes them [·, H, ·, D] -> [B, J, G·C, D]."""

    @abstractmethod
    def unfold(self, output: Tensor, heads: int) -> Tensor:
        """What attention returns [B, J, G·C, D] -> as the model expects it, [·, ·, H, D]."""

    @abstractmethod
    def visible(self, window: int | None) -> Tensor:
        """Which keys each query sees: [B, C, K] bool."""

    @abstractmethod
    def spread(self, mask: Tensor, groups: int) -> Tensor:
        """A mask [B, C, K] for folded queries: [B, 1, C or G·C, K]."""

    def mask(self, window: int | None, groups: int, dtype: torch.dtype) -> Tensor:
        """0 where a query sees a key, −∞ elsewhere; made once per forward, since the layers share it."""
        if (window, dtype) not in self._masks:
            visible = self.visible(window)
            hidden = torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(~visible, -torch.inf)
            self._masks[window, dtype] = self.spread(hidden, groups)
        return self._masks[window, dtype]


class Decode(AttentionMetadata):
    """One token for each of the first A slots, at `positions` [A]; keys are read up to `width` or its page's end."""

    def __init__(self, positions: Tensor, width: int, pages: PageTable) -> None:
        super().__init__(pages)
        self.positions, self.width, self.page, self.table = positions, width, pages.size, None
        self._chunks: dict[int, Chunks] = {}
        self._rows: Rows | None = None
        self.pages, self.offsets = torch.arange(len(positions), device=positions.device), positions
        if not pages.whole:
            self.table = pages.table[: len(positions), : pages.pages(width)]  # [A, ≤ M]
            self.width = self.table.shape[1] * pages.size
            self.pages = self.table.gather(1, (positions // pages.size)[:, None])[:, 0]
            self.offsets = positions % pages.size

    def write(self, buffer: Tensor, new: Tensor) -> None:
        buffer[self.pages, :, self.offsets] = new[:, :, 0]

    def read(self, buffer: Tensor) -> Tensor:
        return buffer[: len(self.positions), :, : self.width] if self.table is None else _collected(buffer, self.table)

    def _read_by_head(self, buffer: Tensor) -> Tensor:
        if self.table is not None:
            return _collected(buffer, self.table).flatten(0, 1)
        return buffer.flatten(0, 1)[: len(self.positions) * buffer.shape[1], : self.width]

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, scale: float | None, window: int | None) -> Tensor:
        pages = keys.transpose(1, 2), values.transpose(1, 2)
        if window is None:
            chunks = self.chunks(query.shape[1] // keys.shape[1])
            return attend_in_chunks(query[:, :, 0], *pages, chunks, scale)[:, None]
        return attend_pages(query[:, :, 0], *pages, self.rows(), scale, window)[0][:, None]

    def attend_gathered(
        self, query: Tensor, keys: Tensor, values: Tensor, scale: float | None, window: int | None
    ) -> Tensor:
        if query.device.type != "cpu" or query.dtype != torch.float32:
            return super().attend_gathered(query, keys, values, scale, window)
        # the fused kernel is made for many queries a row
        rows, key_heads, size = len(self.positions), keys.shape[1], query.shape[-1]
        mask = self.mask(window, query.shape[1] // key_heads, query.dtype)  # [A, 1, 1, K]
        hidden = mask.expand(-1, key_heads, -1, -1).flatten(0, 1)  # [A·J, 1, K]
        asked = self.fold(query, key_heads).flatten(0, 1)  # [A·J, G, D]
        read = self._read_by_head(keys), self._read_by_head(values)  # [A·J, K, D]
        weights = torch.baddbmm(hidden, asked, read[0].mT, alpha=size**-0.5 if scale is None else scale).softmax(-1)
        return torch.bmm(weights, read[1]).reshape(rows, 1, -1, size)

    # made once, since the layers share them; not `cached_property`, whose lock no graph takes in Python 3.11

    def chunks(self, groups: int) -> Chunks:
        """What is read, split over keys, by heads of which `groups` share a key head."""
        if groups not in self._chunks:
            assert self.table is not None
            self._chunks[groups] = Chunks(self.table, self.positions + 1, self.page, groups)
        return self._chunks[groups]

    def rows(self) -> Rows:
        """What is read, row by row."""
        if self._rows is None:
            assert self.table is not None
            firsts = torch.arange(len(self.positions) + 1, device=self.positions.device)
            self._rows = Rows.of(firsts, 1, self.table, self.positions + 1)
        return self._rows

    def fold(self, query: Tensor, key_heads: int) -> Tensor:
        return query.reshape(len(self.positions), key_heads, -1, query.shape[-1])

    def unfold(self, output: Tensor, heads: int) -> Tensor:
        return output.reshape(len(self.positions), 1, heads, output.shape[-1])

    def visible(self, window: int | None) -> Tensor:
        places = torch.arange(self.width, device=self.positions.device)
        return _causal(self.positions[:, None], places, window)

    def spread(self, mask: Tensor, groups: int) -> Tensor:
        return mask[:, None]


class Varlen(AttentionMetadata):
    """Spans of tokens of several slots in one row [1, T]: `counts` [B] tokens of `slots` [B] from `starts` [B] on.

    Args:
        slots, starts, counts: on the CPU, int64; every count at least 1.
        pages: of all slots; where a page is a whole row, reading all slots in their order needs no copy.
    """

    def __init__(self, slots: Tensor, starts: Tensor, counts: Tensor, pages: PageTable) -> None:
        super().__init__(pages)
        device = pages.table.device
        self.width, self.longest = int((starts + counts).max()), int(counts.max())
        rows = torch.arange(len(slots)).repeat_interleave(counts)  # [T]
        offsets = spans(torch.zeros_like(counts), counts)  # [T]
        self.all = pages.whole and torch.equal(slots, torch.arange(pages.slots))
        self.starts = starts.to(device)
        table = pages.on_host[slots, : max(1, pages.pages(self.width))]  # [B, ≤ M]
        self.table = table.to(device)
        if not pages.whole:
            self.width = table.shape[1] * pages.size
        self.rows, self.offsets = rows.to(device), offsets.to(device)
        first = (counts.cumsum(0) - counts)[:, None]
        self.padded = (first + torch.arange(self.longest)).clamp(max=len(rows) - 1).to(device)  # [B, C], into T
        firsts = pad(counts.cumsum(0), (1, 0)).to(device)
        self.kernel_rows = Rows.of(firsts, self.longest, self.table, (starts + counts).to(device))
        positions = starts[rows] + offsets  # [T]
        self.positions, self.places = positions.to(device), (positions % pages.size).to(device)
        self.pages = table[rows, positions // pages.size].to(device)  # [T]

    def write(self, buffer: Tensor, new: Tensor) -> None:
        buffer[self.pages, :, self.places] = new[0].transpose(0, 1)

    def read(self, buffer: Tensor) -> Tensor:
        if self.paged:
            return _collected(buffer, self.table)
        return buffer[:, :, : self.width] if self.all else buffer[:, :, : self.width].index_select(0, self.table[:, 0])

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, scale: float | None, window: int | None) -> Tensor:
        pages = keys.transpose(1, 2), values.transpose(1, 2)
        queries = query[0].transpose(0, 1)  # [T, H, D]
        return attend_pages(queries, *pages, self.kernel_rows, scale, window)[0][None]

    def fold(self, query: Tensor, key_heads: int) -> Tensor:
        padded = query[0].transpose(0, 1)[self.padded]  # [B, C, H, D]; beyond a span's end whatever follows it
        by_group = padded.reshape(*padded.shape[:2], key_heads, -1, padded.shape[-1])
        return by_group.permute(0, 2, 3, 1, 4).flatten(2, 3)  # [B, J, G·C, D]

    def unfold(self, output: Tensor, heads: int) -> Tensor:
        _, key_heads, _, size = output.shape
        by_group = output.reshape(len(output), key_heads, heads // key_heads, -1, size)
        by_token = by_group.permute(0, 3, 1, 2, 4)[self.rows, self.offsets]  # [T, J, G, D]
        return by_token.reshape(1, -1, heads, size)

    def visible(self, window: int | None) -> Tensor:
        places = torch.arange(self.width, device=self.starts.device)
        queries = self.starts[:, None] + torch.arange(self.longest, device=self.starts.device)  # [B, C]
        return _causal(queries, places, window)

    def spread(self, mask: Tensor, groups: int) -> Tensor:
        return mask[:, None, None].expand(-1, -1, groups, -1, -1).flatten(2, 3)


def _collected(buffer: Tensor, table: Tensor) -> Tensor:
    """The pages [B, ·] of a buffer [N, J, P, D], one behind the other: [B, J, K, D], a copy."""
    return buffer[table].transpose(1, 2).flatten(2, 3)


def _causal(queries: Tensor, places: Tensor, window: int | None) -> Tensor:
    """Places [K] that queries at [B, C] see, themselves included: [B, C, K] bool."""
    distance = queries[..., None] - places
    return distance >= 0 if window is None else (distance >= 0) & (distance < window)
