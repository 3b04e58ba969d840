"""What fits neither the cache nor a model's window is refused, and so is what is no prompt."""

import pytest
import torch

from mentor_pl.algorithms.parts.gates import ConstantGate
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.runtime.errors import UsageError


def bounded(models, policy=None, expert=None):
    """The models with windows of so many tokens."""
    for model, window in ((models.policy, policy), (models.expert, expert)):
        model.config = type("Config", (), {"max_position_embeddings": window, "_attn_implementation": "sdpa"})()
    return models


def test_a_cache_smaller_than_one_row_is_a_usage_error(counting, keys, sample):
    options = counting([4]), [[0], [1, 1, 0]], keys(2), SamplingParams(max_new_tokens=4)
    sample(Coin(cache_tokens=7), *options)
    with pytest.raises(
        UsageError,
        match=r"^sampler cache_tokens is 6, but .* take 7 tokens: raise cache_tokens or lower max_new_tokens$",
    ):
        sample(Coin(cache_tokens=6), *options)


def test_a_rollout_longer_than_the_policys_window_is_a_usage_error(counting, keys, sample):
    options = [[0], [1, 1, 0]], keys(2), SamplingParams(max_new_tokens=4)
    sample(Coin(), bounded(counting([4]), policy=7), *options)
    with pytest.raises(
        UsageError, match=r"^prompt and response may take 7 tokens, but the policy attends to 6 at most: "
    ):
        sample(Coin(), bounded(counting([4]), policy=6), *options)


def test_a_rollout_longer_than_the_experts_window_is_a_usage_error_where_the_expert_is_asked(counting, keys, sample):
    models, options = bounded(counting([4]), expert=6), ([[0], [1, 1, 0]], keys(2), SamplingParams(max_new_tokens=4))
    sample(Coin(), models, *options)
    with pytest.raises(
        UsageError, match=r"^prompt and response may take 7 tokens, but the expert attends to 6 at most: "
    ):
        sample(Coin(), models, *options, ConstantGate(0.5))


def test_what_must_fit_is_each_prompt_with_its_own_limit(counting, keys, sample):
    models = bounded(counting([4]), policy=5)
    samples = sample(Coin(), models, [[0], [1, 1, 0]], keys(2), SamplingParams(max_new_tokens=4), limits=[4, 2])
    assert samples.lengths.tolist() == [4, 2]


@pytest.mark.parametrize(
    ("prompts", "count"), [([[0], []], 2), ([[0], [1]], 1)], ids=["an empty prompt", "a key too few"]
)
def test_prompts_without_a_token_or_a_key_are_refused(prompts, count, lookup_models, keys, sample):
    models = lookup_models(torch.zeros(1, 5, 5))
    with pytest.raises(ValueError, match="give every prompt a key, and a token at least"):
        sample(Coin(), models, prompts, keys(count), SamplingParams(max_new_tokens=2))
