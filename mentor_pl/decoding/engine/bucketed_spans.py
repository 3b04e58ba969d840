"""Packed forwards in a few shapes at fixed addresses, so that a GPU can record and replay them.

Tokens, rows, pages of a row and places whose logits are wanted are each padded to a bucket. Padded tokens are a row of
their own, in page 0 and of no more queries than keys, so that what is computed of them is a number; padded rows have no
tokens. Attention must read pages where they lie: what gathers them makes shapes of its own.

Shapes: T tokens, B rows, M pages of a row, F places, each as padded; R slots, W logits ≥ V.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from mentor_pl.decoding.engine.attention_metadata import AttentionMetadata, Varlen
from mentor_pl.decoding.engine.cuda_graphs import ROW_BUCKET, Recorded, bucket
from mentor_pl.decoding.engine.model_runner import ModelRunner
from mentor_pl.decoding.engine.paged_attention import Rows
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.models.attention import spans

COLUMN_BUCKET = 4  # pages of a row


class BucketedSpans(Varlen):
    """Spans at fixed addresses."""

    def __init__(self, pages: PageTable, tokens: int, rows: int, columns: int, places: int) -> None:
        AttentionMetadata.__init__(self, pages)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(*shape, dtype=torch.int64, device=pages.table.device)

        self.ids, self.keep = zeros(tokens), zeros(places)
        self.positions, self.pages, self.places = zeros(tokens), zeros(tokens), zeros(tokens)
        self.kernel_rows = Rows.of(zeros(rows + 1), tokens, zeros(rows, columns), zeros(rows))

    def fill(
        self, pages: PageTable, tokens: Tensor, slots: Tensor, starts: Tensor, counts: Tensor, scored_positions: Tensor
    ) -> None:
        """Take in a call's spans; the arguments are those of `ModelRunner.forward`."""
        total, rows = len(tokens), len(slots)
        owner = torch.arange(rows).repeat_interleave(counts)
        positions = starts[owner] + spans(torch.zeros_like(counts), counts)
        padding = len(self.ids) - total
        own = torch.arange(padding)
        table = torch.zeros(self.kernel_rows.block_table.shape, dtype=torch.int64)
        columns = min(table.shape[1], pages.on_host.shape[1])
        table[:rows, :columns] = pages.on_host[slots, :columns]
        used = torch.zeros(len(table), dtype=torch.int64)
        used[:rows], used[rows] = starts + counts, padding
        firsts = torch.full((len(table) + 1,), len(self.ids))
        firsts[: rows + 1] = pad(counts.cumsum(0), (1, 0))
        keep = torch.zeros(len(self.keep), dtype=torch.int64)
        keep[: len(scored_positions)] = scored_positions
        self.ids[:total].copy_(tokens)
        self.ids[total:].zero_()
        for column, values in (
            (self.positions, torch.cat([positions, own])),
            (self.pages, torch.cat([table[owner, positions // pages.size], torch.zeros_like(own)])),
            (self.places, torch.cat([positions, own]) % pages.size),
            (self.keep, keep),
            (self.kernel_rows.cu_seqlens_q, firsts),
            (self.kernel_rows.block_table, table),
            (self.kernel_rows.seqused_k, used),
            (self.kernel_rows.cu_seqlens_k, pad(used.cumsum(0), (1, 0))),
        ):
            column.copy_(values, non_blocking=True)


class BucketedForward:
    """`ModelRunner.forward` in bucketed shapes.

    Args:
        runner: whose rows are pages.
        recorded: from a function of a shape to one that records it.
    """

    def __init__(
        self, runner: ModelRunner, recorded: Callable[[Callable[..., None]], Callable[..., None]] = Recorded
    ) -> None:
        self.runner = runner
        self.spans: dict[tuple[int, ...], BucketedSpans] = {}
        self.logits: dict[tuple[int, ...], Tensor] = {}
        self.run = recorded(self._forward)

    def __call__(
        self, tokens: Tensor, slots: Tensor, starts: Tensor, counts: Tensor, scored_positions: Tensor
    ) -> Tensor:
        """The logits after the tokens `scored_positions` [F], [F, W]; until the next call."""
        pages = self.runner.pages
        total = bucket(len(tokens))
        columns = bucket(pages.pages(max(int((starts + counts).max()), total - len(tokens))), COLUMN_BUCKET)
        shape = total, bucket(len(slots) + 1, ROW_BUCKET), columns, bucket(len(scored_positions), ROW_BUCKET)
        if shape not in self.spans:
            self.spans[shape] = BucketedSpans(pages, *shape)
        self.spans[shape].fill(pages, tokens, slots, starts, counts, scored_positions)
        self.run(*shape)
        return self.logits[shape][: len(scored_positions)]

    def _forward(self, *shape: int) -> None:
        filled = self.spans[shape]
        filled.layers = 0
        self.logits[shape] = self.runner.read(filled.ids, filled, filled.keep)
