"""What the engine's tests share: a pair of tiny models per family, prompts for it, other stop ids, a wary gate."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from inspect import signature

import pytest
import torch
import torch.nn.attention.varlen
from engine_cases import LOOSE, MODES, SAMPLING
from torch import Tensor

from mentor_pl.algorithms.parts.gates import Gate
from mentor_pl.decoding.engine import kv_cache
from mentor_pl.models.loading import Models

TEXTS = ("find the value of x", "we try", "wait , let us verify the product", "the answer is")


def varlen_attn(
    query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, return_aux, scale, window_size, enable_gqa, seqused_k,
    block_table, num_splits,
):  # fmt: skip
    """PyTorch's function in plain words, with NaN for what has no key: [T, H, D], and log-sum-exps [H, T]."""
    assert cu_seq_k is None
    assert num_splits == 1
    assert return_aux.lse
    assert window_size[1] == 0
    assert max_k == block_table.shape[1] * key.shape[1]
    heads, size = query.shape[1:]
    assert enable_gqa == (heads != key.shape[2])
    output, sums = torch.full_like(query, torch.nan), torch.full((heads, len(query)), torch.nan)
    for row, used in enumerate(seqused_k.tolist()):
        first, end = cu_seq_q[row : row + 2].tolist()
        assert end - first <= max_q
        keys, values = (
            pages[block_table[row].long()].flatten(0, 1)[:used].repeat_interleave(heads // key.shape[2], 1)
            for pages in (key, value)
        )
        for token in range(first, end):
            last = used - (end - token) + 1  # the last query is of the last place
            begin = 0 if window_size[0] < 0 else max(0, last - 1 - window_size[0])
            if begin < last:
                scores = torch.einsum("hd,khd->hk", query[token], keys[begin:last]) * (scale or size**-0.5)
                output[token] = torch.einsum("hk,khd->hd", scores.softmax(-1), values[begin:last])
                sums[:, token] = scores.logsumexp(-1)
    return output, sums


@pytest.fixture
def plain_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention reads pages where they lie, on this CPU."""
    monkeypatch.setattr(torch.nn.attention.varlen, "varlen_attn", varlen_attn)
    monkeypatch.setattr(kv_cache, "usable", lambda *arguments: True)


@pytest.fixture
def meta_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention reads pages where they lie, by PyTorch's own function, which knows of shapes alone on meta tensors."""
    if "block_table" not in signature(torch.nn.attention.varlen.varlen_attn).parameters:
        pytest.skip("this version's varlen_attn knows no pages")
    monkeypatch.setattr(kv_cache, "usable", lambda *arguments: True)


@pytest.fixture(scope="session")
def with_stops() -> Callable[[Models, Iterable[int]], Models]:
    """(models, stop ids) -> the same models, which end a response there."""
    return lambda models, stop_ids: replace(models, vocabulary=replace(models.vocabulary, stop_ids=tuple(stop_ids)))


@pytest.fixture(scope="module", params=["qwen2", "sliding"])
def pair(
    request: pytest.FixtureRequest,
    family: Callable[[str], Models],
    with_stops: Callable[[Models, Iterable[int]], Models],
) -> Models:
    """Policy and expert; one id in eleven ends a response, so that lengths differ."""
    return with_stops(family(request.param), range(0, 320, 11))


@pytest.fixture(scope="module")
def prompts(pair: Models) -> list[list[int]]:
    """2 rollouts to each of 4 prompts."""
    return [pair.tokenizer(text)["input_ids"] for text in TEXTS for _ in range(2)]


class Uncertain(Gate):
    """Guides whatever the policy is not certain of."""

    def __call__(self, drafts) -> Tensor:
        return (drafts.entropies > 0.1).float()


@pytest.fixture(scope="session")
def uncertain() -> Gate:
    return Uncertain()


@pytest.fixture(scope="module", params=MODES.values(), ids=MODES)
def mode(request, gate_of):
    """(sampler options -> sampler, gate)"""
    sampler, options, mixed = request.param
    return lambda **more: sampler(**options, **more), gate_of(LOOSE) if mixed else None


@pytest.fixture(scope="module")
def whole(pair, prompts, keys, mode, sample):
    """The rollouts with every row in its own slot from the start."""
    sampler, gate = mode
    samples = sample(sampler(), pair, prompts, keys(len(prompts)), SAMPLING, gate)
    assert len(samples.lengths.unique()) >= 3
    assert samples.truncated.any()
    assert not samples.truncated.all()
    return samples
