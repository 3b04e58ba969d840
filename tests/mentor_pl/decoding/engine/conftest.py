"""What the engine's tests share: a pair of tiny models per family, prompts for it, other stop ids, a wary gate."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from inspect import signature

import pytest
import torch
import torch.nn.attention.varlen
from engine_cases import LOOSE, MODES, SAMPLING
from torch import Tensor
from varlen_standin import varlen_attn

from mentor_pl.algorithms.parts.gates import Gate
from mentor_pl.decoding.engine import kv_cache
from mentor_pl.models.loading import Models

TEXTS = ("find the value of x", "we try", "wait , let us verify the product", "the answer is")


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
