"""What no sampler can do is refused in one line, and no prompts are no rollouts."""

import pytest
import torch

from mentor_pl.algorithms.parts.gates import ConstantGate
from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.runtime.errors import UsageError

LIMIT = SamplingParams(max_new_tokens=32)
SAMPLER_TYPES = [Coin, Algorithm1, Naive]


@pytest.mark.parametrize("sampler", SAMPLER_TYPES)
def test_a_gate_without_an_expert_is_a_usage_error(sampler, lookup_models, keys, sample):
    with pytest.raises(UsageError, match=r"need an expert: set model.expert"):
        sample(sampler(), lookup_models(torch.zeros(1, 5, 5)), [[0]], keys(1), LIMIT, ConstantGate(0.5))


@pytest.mark.parametrize("sampler", SAMPLER_TYPES)
def test_a_gate_at_temperature_zero_is_a_usage_error(sampler, toy, keys, sample):
    with pytest.raises(UsageError, match="are draws: give a temperature above 0"):
        sample(sampler(), toy, [[0]], keys(1), SamplingParams(temperature=0.0), ConstantGate(0.5))


@pytest.mark.parametrize("sampler", SAMPLER_TYPES)
def test_fewer_than_one_row_or_place_is_a_usage_error(sampler):
    with pytest.raises(UsageError, match="rows is 0"):
        sampler(rows=0)
    with pytest.raises(UsageError, match="cache_tokens is 0"):
        sampler(cache_tokens=0)


@pytest.mark.parametrize("sampler", SAMPLER_TYPES)
@pytest.mark.parametrize("gate", [None, ConstantGate(0.5)], ids=["on-policy", "mixed"])
def test_no_prompts_give_no_rollouts(gate, sampler, toy, keys, sample):
    samples = sample(sampler(), toy, [], keys(0), LIMIT, gate)
    assert samples.ids.shape == (0, 0)
    assert samples.lengths.shape == samples.truncated.shape == (0,)


def test_algorithm1_without_drafts_is_a_usage_error():
    with pytest.raises(UsageError, match="k is 0, but it counts draft steps: give at least 1"):
        Algorithm1(0)
