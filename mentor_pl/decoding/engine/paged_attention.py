r"""Attention that reads the pages of a KV cache where they lie, by FlashAttention's kernel over ragged sequences.

A step has one query per row, too few to fill a GPU, so it is split over keys as well: each row is read in chunks of
CHUNK_PAGES pages, as if they were rows of their own, and what they find is merged by their log-sum-exps,

    out = \sum_s e^{lse_s - lse} out_s,   lse = \log \sum_s e^{lse_s}.

Chunks are fixed, so what a row finds does not depend on how long others are. The kernel's own splits are turned off:
they have returned NaN and wrong rows (pytorch/torchtitan#3235, pytorch#194167).

Shapes: A rows, T queries, H query heads, J key heads, D head size, N pages of P places, M pages of a row at most, S
chunks of a row, G = H / J.
"""

from __future__ import annotations

from functools import cache
from inspect import signature
from typing import NamedTuple

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.nn.functional import pad

CHUNK_PAGES = 8
PAGE_MULTIPLE = 256  # of FlashAttention 2; the smallest page
_AGREES = 2e-2  # in half precision, beside one in fifty of the output
_SHARPNESS = 3.0  # of what is tried, so that few keys have the weight, and heads differ in which


class Rows(NamedTuple):
    """Whose queries a kernel has and what they read, by FlashAttention's names; the layers of a forward share it.

    Attributes:
        cu_seqlens_q: [A + 1] int32, where each row's queries begin, and T.
        max_seqlen_q: queries of a row at most.
        block_table: [A, M] int32, pages of each row.
        seqused_k: [A] int32, places of each row, its queries' included.
        cu_seqlens_k: [A + 1] int32, 0 and the sums of those: the kernel insists on them, though pages have no order.
    """

    cu_seqlens_q: Tensor
    max_seqlen_q: int
    block_table: Tensor
    seqused_k: Tensor
    cu_seqlens_k: Tensor

    @classmethod
    def of(cls, cu_seqlens_q: Tensor, max_seqlen_q: int, block_table: Tensor, seqused_k: Tensor) -> Rows:
        """Of integers of any size."""
        used = seqused_k.int()
        sums = pad(used.cumsum(0, dtype=torch.int32), (1, 0))
        return cls(cu_seqlens_q.int(), max_seqlen_q, block_table.int(), used, sums)


def attend_pages(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    rows: Rows,
    scale: float | None,
    window: int | None = None,
    causal: bool = True,
) -> tuple[Tensor, Tensor]:
    """Attention of the last queries of each row to the places it uses, each to itself and what is before it.

    Args:
        query: [T, H, D], row by row.
        keys, values: [N, P, J, D].
        rows: A of them.
        scale: of the scores; by default D^{-1/2}.
        window: places that a query sees, itself included; none for all.
        causal: false where every query of a row sees all of its places.

    Returns:
        output [T, H, D] and log-sum-exps [T, H] float32.
    """
    from torch.nn.attention.varlen import AuxRequest, varlen_attn

    output, lse = varlen_attn(
        query,
        keys,
        values,
        rows.cu_seqlens_q,
        rows.cu_seqlens_k,
        rows.max_seqlen_q,
        rows.block_table.shape[1] * keys.shape[1],
        return_aux=AuxRequest(lse=True),
        scale=scale,
        window_size=(-1 if window is None else window - 1, 0 if causal else -1),
        enable_gqa=query.shape[1] != keys.shape[2],
        seqused_k=rows.seqused_k,
        block_table=rows.block_table,
        num_splits=1,
    )
    return output, lse.transpose(0, 1)  # which the kernel has as [H, T], whatever its documentation says


class Chunks:
    """What one query of each row reads, in chunks of CHUNK_PAGES pages as if they were rows; a step's layers share it.

    Args:
        table: [A, M], pages of each row.
        used: [A], places of each row, its query's included; at least 1.
        page: P.
        groups: G, query heads to a key head.
    """

    def __init__(self, table: Tensor, used: Tensor, page: int, groups: int) -> None:
        rows, pages = table.shape
        self.count, size = -(-pages // CHUNK_PAGES), CHUNK_PAGES * page
        starts = size * torch.arange(self.count, device=table.device)
        left = (used[:, None] - starts).clamp(0, size)  # [A, S]
        self.empty = (left == 0)[..., None, None]  # [A, S, 1, 1]
        full = pad(table, (0, self.count * CHUNK_PAGES - pages)).unflatten(1, (self.count, CHUNK_PAGES)).flatten(0, 1)
        firsts = groups * torch.arange(rows * self.count + 1, device=table.device)
        self.rows = Rows.of(firsts, groups, full, left.flatten())


def attend_in_chunks(query: Tensor, keys: Tensor, values: Tensor, chunks: Chunks, scale: float | None) -> Tensor:
    """Attention of one query per row, split over keys: [A, H, D].

    Query heads that share a key head are queries of one row, so that its keys are read once. The kernel does so too
    where it is asked without a mask, but then its log-sum-exps are not where it says.

    Args:
        query: [A, H, D].
        keys, values: [N, P, J, D].
        chunks: of the rows.
        scale: of the scores; by default D^{-1/2}.
    """
    groups = chunks.rows.max_seqlen_q
    folded = query.unflatten(1, (-1, groups)).transpose(1, 2)  # [A, G, J, D]
    several = folded[:, None].expand(-1, chunks.count, -1, -1, -1).flatten(0, 2)  # [A · S · G, J, D]
    output, lse = attend_pages(several, keys, values, chunks.rows, scale, causal=False)
    found = output.view(len(query), chunks.count, *folded.shape[1:])  # [A, S, G, J, D]
    if chunks.count == 1:
        merged = found[:, 0]
    else:
        empty = chunks.empty  # what a kernel makes of no key is its own affair
        weights = lse.reshape(found.shape[:-1]).masked_fill(empty, -torch.inf).softmax(1)  # [A, S, G, J]
        merged = (weights[..., None] * found.float().masked_fill(empty[..., None], 0)).sum(1).to(query.dtype)
    return merged.transpose(1, 2).reshape(query.shape)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator] # a trial is nothing to be compiled
def usable(query_heads: int, key_heads: int, size: int, page: int, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether this machine's kernel reads such pages, and reads them right; said once, with the reason where not."""
    return _tried(query_heads, key_heads, size, page, dtype, device)


@cache
def _tried(heads: int, key_heads: int, size: int, page: int, dtype: torch.dtype, device: torch.device) -> bool:
    reason = problem(heads, key_heads, size, page, dtype, device)
    what = f"{heads} heads over {key_heads} of {size} in {str(dtype).removeprefix('torch.')}"
    if reason:
        rank_zero_info(f"attention of {what} gathers the pages of the KV cache, which is slower: {reason}")
    else:
        rank_zero_info(f"attention of {what} reads the pages of the KV cache where they lie")
    return not reason


def problem(heads: int, key_heads: int, size: int, page: int, dtype: torch.dtype, device: torch.device) -> str:
    """What keeps the kernel from being used: it is not there, refuses, or errs; nothing where it works."""
    if device.type != "cuda":
        return "the kernel is one of GPUs"
    if page % PAGE_MULTIPLE:
        return f"pages have {page} places, and the kernel reads pages of multiples of {PAGE_MULTIPLE}"
    return trial(heads, key_heads, size, page, dtype, device)


@torch.no_grad()
def trial(heads: int, key_heads: int, size: int, page: int, dtype: torch.dtype, device: torch.device) -> str:
    """Likewise, found by having the kernel read random pages and comparing with plain sums."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return "torch.nn.attention.varlen is not there"
    if not {"block_table", "num_splits"} <= set(signature(varlen_attn).parameters):
        return "torch.nn.attention.varlen knows no pages"
    generator = torch.Generator(device).manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device).to(dtype)

    pages = CHUNK_PAGES + 1  # of two chunks, and of one
    keys, values = drawn(pages + 2, page, key_heads, size), drawn(pages + 2, page, key_heads, size)
    table = (1 + torch.arange(2 * pages, device=device).view(2, pages)) % (pages + 2)
    used = torch.tensor([CHUNK_PAGES * page + page // 2, page - 1], device=device)
    query = _SHARPNESS * drawn(2, heads, size)
    try:
        found = attend_in_chunks(query, keys, values, Chunks(table, used, page, heads // key_heads), None)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        return f"the kernel refuses, {' '.join(str(error).split())[:200]}"
    for row, count in enumerate(used.tolist()):
        k, v = (
            buffer[table[row].long()].flatten(0, 1)[:count].float().repeat_interleave(heads // key_heads, 1)
            for buffer in (keys, values)
        )
        scores = torch.einsum("hd,khd->hk", query[row].float(), k) * size**-0.5
        right = torch.einsum("hk,khd->hd", scores.softmax(-1), v)
        if not torch.allclose(found[row].float(), right, atol=_AGREES, rtol=_AGREES):
            return "the kernel errs on this machine"
    return ""
