"""Chunks of keys merged by hand and against one softmax; what is tried before a kernel is trusted."""

import math
from functools import wraps
from inspect import signature

import pytest
import torch

from mentor_pl.decoding.engine import paged_attention
from mentor_pl.decoding.engine.paged_attention import CHUNK_PAGES, Chunks, Rows, attend_in_chunks, attend_pages, usable

CPU = torch.device("cpu")


@pytest.fixture
def rows():
    """Three rows of 37, 8 and 1 places in pages of 2, over 2 key heads and 6 query heads of 4 numbers."""
    generator = torch.Generator().manual_seed(3)
    keys, values = (torch.randn(40, 2, 2, 4, generator=generator) for _ in range(2))
    table = torch.randperm(39, generator=generator)[: 3 * 19].int()
    table = torch.cat([table, table])[: 3 * 19].view(3, 19) + 1
    return torch.randn(3, 6, 4, generator=generator), keys, values, table, torch.tensor([37, 8, 1]).int()


def in_chunks(query, keys, values, table, used, scale=None):
    return attend_in_chunks(
        query, keys, values, Chunks(table, used, keys.shape[1], query.shape[1] // keys.shape[2]), scale
    )


def whole_softmax(query, keys, values, table, used):
    found = []
    for row, count in enumerate(used.tolist()):
        k, v = (b[table[row].long()].flatten(0, 1)[:count].repeat_interleave(3, 1) for b in (keys, values))
        found.append(torch.einsum("hk,khd->hd", (torch.einsum("hd,khd->hk", query[row], k) / 2).softmax(-1), v))
    return torch.stack(found)


def test_chunks_of_keys_add_up_to_one_softmax(rows, plain_kernel):
    assert rows[-1].max() > 2 * 2 * CHUNK_PAGES  # three chunks, of which the other rows have one
    found = in_chunks(*rows)
    assert (found - whole_softmax(*rows)).abs().max() < 1e-6


def test_two_chunks_by_hand(plain_kernel, monkeypatch):
    # keys 0 and ln 3, values 8 and 0: the first has a quarter of the weight
    monkeypatch.setattr(paged_attention, "CHUNK_PAGES", 1)
    keys = torch.tensor([0.0, math.log(3)]).view(2, 1, 1, 1)
    values = torch.tensor([8.0, 0.0]).view(2, 1, 1, 1)
    table, used = torch.tensor([[0, 1]]).int(), torch.tensor([2]).int()
    assert in_chunks(torch.ones(1, 1, 1), keys, values, table, used, 1.0).item() == pytest.approx(2.0)


def test_heads_that_share_a_key_head_are_queries_of_one_row(rows, plain_kernel, monkeypatch):
    asked, kernel = [], torch.nn.attention.varlen.varlen_attn

    @wraps(kernel)
    def noted(query, *arguments, **options):
        asked.append((query.shape, arguments[2].tolist()))
        return kernel(query, *arguments, **options)

    monkeypatch.setattr(torch.nn.attention.varlen, "varlen_attn", noted)
    query, keys, values, table, used = rows
    in_chunks(query, keys, values, table[:, :4], used.clamp(max=8))
    assert asked == [((3 * 3, 2, 4), [0, 3, 6, 9])]  # of 6 heads over 2, so that a row's keys are read once for three


def test_what_a_row_finds_does_not_depend_on_longer_ones(rows, plain_kernel):
    query, keys, values, table, used = rows
    alone = in_chunks(query[1:2], keys, values, table[1:2, :4], used[1:2])
    assert torch.equal(alone[0], in_chunks(*rows)[1])


def test_a_cpu_and_small_pages_have_no_kernel():
    assert not usable(4, 2, 64, 256, torch.bfloat16, CPU)
    assert not usable(4, 2, 64, 128, torch.bfloat16, torch.device("cuda"))


@pytest.mark.parametrize(("page", "device"), [(256, CPU), (128, torch.device("cuda"))])
def test_why_not_is_said_once(page, device, monkeypatch):
    said = []
    monkeypatch.setattr(paged_attention, "rank_zero_info", said.append)
    for _ in range(2):
        assert not usable(6, 3, 32, page, torch.float16, device)  # which nothing else asks for
    (line,) = said
    assert line.startswith(
        "attention of 6 heads over 3 of 32 in float16 gathers the pages of the KV cache, which is slo"
    )
    assert ("one of GPUs" in line) is (device == CPU)
    assert ("pages have 128 places" in line) is (device != CPU)


def problem():
    return paged_attention.trial(4, 2, 8, 4, torch.float32, CPU)


def test_a_kernel_that_works_is_used(plain_kernel):
    assert problem() == ""


def test_a_kernel_that_refuses_says_why_in_one_line():
    if "block_table" not in signature(torch.nn.attention.varlen.varlen_attn).parameters:
        pytest.skip("this version's varlen_attn knows no pages")
    assert problem().startswith("the kernel refuses, ")
    assert "\n" not in problem()


@pytest.mark.parametrize("mixed_up", [0, 1])  # heads, and queries
def test_a_kernel_that_errs_is_not_used(mixed_up, plain_kernel, monkeypatch):
    right = torch.nn.attention.varlen.varlen_attn

    @wraps(right)
    def wrong(*arguments, **options):
        output, sums = right(*arguments, **options)
        return output, sums.flip(mixed_up)

    monkeypatch.setattr(torch.nn.attention.varlen, "varlen_attn", wrong)
    assert problem() == "the kernel errs on this machine"


def test_an_older_function_that_knows_no_pages_is_not_called(monkeypatch):
    monkeypatch.setattr(torch.nn.attention.varlen, "varlen_attn", lambda query, key, value: None)
    assert problem() == "torch.nn.attention.varlen knows no pages"


def test_several_queries_of_a_row_see_no_further_than_themselves(rows, plain_kernel):
    query, keys, values, table, used = rows
    firsts = torch.tensor([0, 2, 3])  # the last two places of the first row, and the last one of the second
    found, sums = attend_pages(query, keys, values, Rows.of(firsts, 2, table[:2], used[:2]), None)
    places = torch.tensor([36, 37, 8]).int()
    expected = whole_softmax(query, keys, values, table[[0, 0, 1]], places)
    assert (found - expected).abs().max() < 1e-6
    assert sums.shape == (3, 6)
