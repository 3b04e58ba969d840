"""Packed forwards at fixed addresses and in padded shapes are the packed forwards they stand for."""

import random

import pytest
import torch

from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.bucketed_spans import BucketedForward
from mentor_pl.decoding.engine.engine import Engine
from mentor_pl.decoding.engine.kv_cache import cached_attention
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.engine.model_runner import ModelRunner
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import decoding

CPU, LENGTH = torch.device("cpu"), 90


def as_it_is(step):
    """In the place of recording."""
    return step


@pytest.fixture
def runners(pair, plain_kernel):
    """Two runners of the expert over caches of their own, in pages of 4 that lie in any order."""

    def make():
        pages = PageTable(5, LENGTH, 4, 5 * 23, CPU)
        random.Random(1).shuffle(pages.free)
        assert all(pages.reserve(slot, LENGTH) for slot in range(5))
        pages.upload()
        return ModelRunner(pair.expert, pages)

    return make(), make()


def test_calls_of_many_sizes_give_the_logits_of_plain_ones_and_leave_the_same_keys(runners, pair):
    plain, padded = runners
    bucketed, draw = BucketedForward(padded, as_it_is), random.Random(3)
    filled = [0] * 5
    with torch.no_grad(), cached_attention(pair.expert):
        for _ in range(12):
            slots = draw.sample(range(5), draw.randrange(1, 6))
            counts = [draw.randrange(1, min(25, LENGTH - filled[slot])) for slot in slots if filled[slot] < LENGTH - 2]
            slots = [slot for slot in slots if filled[slot] < LENGTH - 2]
            if not slots:
                continue
            total = sum(counts)
            tokens = torch.tensor([draw.randrange(300) for _ in range(total)])
            wanted = torch.tensor(sorted(draw.sample(range(total), draw.randrange(1, total + 1))))
            starts = torch.tensor([filled[slot] for slot in slots])
            call = tokens, torch.tensor(slots), starts, torch.tensor(counts), wanted
            expected, found = plain.forward(*call), bucketed(*call)
            assert found.shape == expected.shape
            assert (found - expected).abs().max() <= 1e-5
            for slot, count in zip(slots, counts, strict=True):
                filled[slot] += count - draw.randrange(0, 3) * (count > 3)  # some are rolled back
    assert len(bucketed.spans) > 2  # shapes; each has addresses of its own
    for ours, theirs in zip(padded.cache.keys, plain.cache.keys, strict=True):
        assert (ours[1:] - theirs[1:]).abs().max() <= 1e-5  # page 0 is nobody's
        assert ours.isfinite().all()


def test_what_fills_a_shape_works_on_its_addresses_alone(runners, pair):
    _, padded = runners
    bucketed = BucketedForward(padded, as_it_is)

    def call(count):
        tokens = torch.arange(count)
        return tokens, torch.tensor([1]), torch.tensor([0]), torch.tensor([count]), torch.tensor([count - 1])

    with torch.no_grad(), cached_attention(pair.expert):
        bucketed(*call(9))
        (filled,) = bucketed.spans.values()

        def addresses():
            own = (getattr(filled, name) for name in ("ids", "positions", "pages", "places", "keep"))
            return [tensor.data_ptr() for tensor in (*own, *filled.kernel_rows) if isinstance(tensor, torch.Tensor)]

        before = addresses()
        bucketed(*call(12))
    assert list(bucketed.spans.values()) == [filled]
    assert addresses() == before


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_an_engine_whose_expert_is_called_in_shapes_samples_the_same_rollouts(
    share, pair, prompts, keys, gate_of, sample, equal_samples, plain_kernel
):
    sampling, gate = SamplingParams(max_new_tokens=16), gate_of(13.0)
    whole = sample(Coin(schedule=FixedK(3)), pair, prompts, keys(len(prompts)), sampling, gate)
    longest = max(map(len, prompts)) + 16
    engine = Engine(
        pair, prompts, keys(len(prompts)), sampling, Coin(schedule=FixedK(3)).guidance(GatedMixture(gate)),
        rows=8, cache_tokens=int(share * len(prompts)) * (longest + 3), page_tokens=4,
    )  # fmt: skip
    engine.verifier.recorded = BucketedForward(engine.runners[1], as_it_is)
    with decoding(pair.policy):
        equal_samples(whole, engine.run())
    assert engine.verifier.recorded.spans
