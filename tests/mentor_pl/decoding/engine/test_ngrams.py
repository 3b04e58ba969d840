"""Guesses by hand; and tokens are the same whether they were guessed or drafted one after the other."""

import pytest
import torch

from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.algorithms.parts.gates import ConstantGate
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.engine.ngrams import guess
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams


@pytest.mark.parametrize(
    ("tokens", "count", "expected"),
    [
        ([1, 2, 3, 4, 1, 2], 3, [3, 4, 1]),
        ([1, 2, 3, 4, 1, 2], 9, [3, 4, 1, 2]),
        ([1, 2, 3, 1, 2, 4, 1, 2], 1, [4]),  # the latest place
        ([7, 1, 2, 3, 8, 1, 2, 4, 7, 1, 2], 1, [3]),  # before it, a place where more agrees
        ([5, 5, 5], 2, [5]),
        ([1, 2, 3], 4, []),
        ([1], 4, []),
        ([1, 2, 1, 2], 0, []),
    ],
)
def test_what_followed_the_same_tokens_is_guessed(tokens, count, expected):
    assert guess(tokens, count) == expected


def test_a_model_that_repeats_itself_needs_few_forwards(counting, keys, sample):
    # 0 1 2 3 4 0 1 2 …: after one round of five and two tokens all guesses are right
    models, sampling = counting([9], size=5), SamplingParams(max_new_tokens=40)
    plain = sample(Coin(), models, [[0]] * 2, keys(2), sampling)
    guessed = sample(Coin(ngram_rows=2), models, [[0]] * 2, keys(2), sampling)
    assert torch.equal(plain.ids, guessed.ids)
    assert plain.stats.policy_forwards == 40
    assert guessed.stats.guessed == guessed.stats.guessed_right
    assert guessed.stats.policy_forwards == 40 - guessed.stats.guessed_right // 2
    assert guessed.stats.policy_forwards <= 12  # seven until a pair comes back, then as many as have been said since


@pytest.mark.parametrize("gate", [None, 0.0, 0.3, 1.0])
@pytest.mark.parametrize("sampler", [Coin, Naive])
@pytest.mark.parametrize("options", [{}, {"page_tokens": 3}], ids=["rows", "pages"])
def test_guessing_changes_no_token(gate, sampler, options, lookup_models, keys, sample):
    """Of a model that repeats itself, an expert that repeats something else, and a prompt with a stop token in it."""
    generator = torch.Generator().manual_seed(1)
    tables = [torch.eye(6).roll(shift, 1) * 4 + torch.randn(6, 6, generator=generator) for shift in (1, 2)]
    models = lookup_models(*(table[None] for table in tables), stop_ids=[5])
    schedule = {"schedule": FixedK(6)} if sampler is Coin else {}
    law = None if gate is None else GatedMixture(ConstantGate(gate))
    key, sampling, prompts = keys(12), SamplingParams(max_new_tokens=60), [[0, 1, 2, 3, 4, 5, 2, 0, 1]] * 12
    plain = sample(sampler(**schedule), models, prompts, key, sampling, law)
    guessed = sample(sampler(ngram_rows=12, **schedule, **options), models, prompts, key, sampling, law)
    for name in ("ids", "lengths", "guided", "replaced", "drafts", "truncated"):
        assert torch.equal(getattr(plain, name), getattr(guessed, name)), name
    for name in ("logprobs", "entropies", "gate_weights"):
        assert torch.allclose(getattr(plain, name), getattr(guessed, name), atol=1e-5), name
    if sampler is Coin:  # the naive sampler settles every token before the next
        assert 0 < guessed.stats.guessed_right < guessed.stats.guessed
        assert guessed.stats.policy_forwards < plain.stats.policy_forwards


def test_rows_are_guessed_once_no_more_than_so_many_are_left_and_none_waits(counting, keys, sample):
    models, sampling = counting([9], size=5), SamplingParams(max_new_tokens=30)
    assert sample(Coin(ngram_rows=2), models, [[0]] * 3, keys(3), sampling).stats.guessed == 0
    assert sample(Coin(ngram_rows=2, rows=2), models, [[0]] * 3, keys(3), sampling).stats.guessed > 0
    limits = [30, 30, 5]
    assert sample(Coin(ngram_rows=2), models, [[0]] * 3, keys(3), sampling, limits=limits).stats.guessed > 0
