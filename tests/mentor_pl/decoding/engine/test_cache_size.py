"""Bytes of a place by hand, places in the memory that is free, and what a checkpoint says of them."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine import cache_size
from mentor_pl.decoding.engine.cache_size import MAX_PLACES, MIN_PLACES, place_bytes, places_in_memory
from mentor_pl.decoding.params import SamplingParams

CPU = torch.device("cpu")


def model(**config):
    return SimpleNamespace(config=SimpleNamespace(**config), parameters=lambda: iter([torch.zeros(1)]))


def test_a_place_has_keys_and_values_of_all_layers():
    qwen = {"num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "hidden_size": 3584}
    assert place_bytes(model(**qwen), CPU) == 2 * 28 * 4 * 128 * 4
    with torch.autocast("cpu", torch.bfloat16):
        assert place_bytes(model(**qwen), CPU) == 56 * 1024  # as the sampler's docstring says
    assert place_bytes(model(**qwen, head_dim=64), CPU) == 2 * 28 * 4 * 64 * 4
    assert place_bytes(model(num_hidden_layers=2, num_attention_heads=3, hidden_size=12), CPU) == 2 * 2 * 3 * 4 * 4
    assert place_bytes(torch.nn.Linear(1, 1), CPU) == 0


@pytest.mark.parametrize(
    ("kilobytes", "places"),
    [(0, MAX_PLACES), (1, MIN_PLACES), (100_000, 2**13), (131_071, 2**13), (131_072, 2**14), (262_143, 2**14)],
)
def test_half_of_what_is_free_holds_both_caches(kilobytes, places, pair, monkeypatch):
    # 2 layers × keys and values × 2 heads × 8 and 12 numbers of 4 bytes: 256 + 384 bytes; here 4 KiB for both
    monkeypatch.setattr(cache_size, "place_bytes", lambda model, device: 2048)
    monkeypatch.setattr(cache_size, "host_memory", lambda: 1024 * kilobytes)
    assert places_in_memory(pair, 1, 1) == places


def test_places_are_found_once_told_and_kept(pair, keys, sample, monkeypatch, caplog):
    free = [20_000_000, 1]
    monkeypatch.setattr(cache_size, "host_memory", lambda: free.pop(0))
    sampler, sampling = Coin(), SamplingParams(max_new_tokens=2)
    with caplog.at_level("INFO"):
        for _ in range(2):
            sample(sampler, pair, [[1, 2, 3]] * 4, keys(4), sampling)
    (told,) = [record.getMessage() for record in caplog.records if "KV caches" in record.getMessage()]
    assert told.startswith("KV caches: 0.0 MiB at most for 4 rows of up to 5 tokens; half of the 0.0 GiB")
    assert told.endswith("holds 8,192 tokens")
    other = Coin()
    other.load_state_dict(sampler.state_dict())
    assert other.places == 2**13
    given = Coin(cache_tokens=99)
    given.load_state_dict(sampler.state_dict())
    assert given.places == 99


def test_a_model_that_tells_nothing_of_its_size_has_all_the_places_it_wants(pair):
    assert places_in_memory(replace(pair, policy=torch.nn.Linear(1, 1), expert=None), 1, 1) == MAX_PLACES
