"""What fell and what else could have stood: the policy's drafts, and the likeliest tokens at guided places."""

import pytest
import torch

from mentor_pl.algorithms.parts.gates import ConstantGate
from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.distribution import draw
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.runtime.noise import DRAFT, exponential

SAMPLERS = [Coin(FixedK(4)), Algorithm1(3), Naive()]
N, LIMIT, WEIGHT = 40, 9, 0.6


@pytest.fixture(scope="module", params=SAMPLERS, ids=lambda sampler: type(sampler).__name__)
def both(request, toy, keys, sample):
    """Samples of 40 rollouts without and with the three likeliest tokens at guided places."""
    arguments = request.param, toy, [[0]] * N, keys(N), SamplingParams(max_new_tokens=LIMIT), ConstantGate(WEIGHT)
    return sample(*arguments), sample(*arguments, alternatives=3)


def tables(toy, samples, row, place):
    """π_θ and π* [5] behind the first `place` tokens of a rollout; the prompt is the token 0."""
    last = int(samples.ids[row, place - 1]) if place else 0
    return [model.table[min(place, 2), last].detach().softmax(-1) for model in (toy.policy, toy.expert)]


def test_a_draft_is_what_the_policy_drew_there_and_the_token_itself_where_it_stood(toy, keys, both):
    samples, noise = both[0], keys(N)
    assert samples.replaced.any()
    assert torch.equal(samples.replaced, samples.drafts != samples.ids)
    for row, length in enumerate(samples.lengths.tolist()):
        for place in range(length):
            p, _ = tables(toy, samples, row, place)
            key, position = noise[row : row + 1], torch.tensor([place])
            assert draw(p[None], exponential(key, position, DRAFT, 5)) == samples.drafts[row, place]
    assert not samples.drafts[torch.arange(samples.ids.shape[1]) >= samples.lengths[:, None]].any()


def test_keeping_alternatives_changes_no_token(both):
    plain, kept = both
    assert plain.alternatives is None
    for name, values in vars(plain).items():
        if isinstance(values, torch.Tensor):
            assert torch.equal(values, getattr(kept, name)), name


def test_alternatives_are_those_of_the_guided_tokens_that_stand(toy, both):
    samples = both[1]
    kept = samples.alternatives
    places = torch.stack([kept.rows, kept.positions], 1)
    assert torch.equal(places, samples.guided.nonzero())  # each once, in order
    for (row, place), ids, values in zip(places.tolist(), kept.ids, kept.probabilities, strict=True):
        p, q = tables(toy, samples, row, place)
        for law, tokens, said in zip((p, q, (1 - WEIGHT) * p + WEIGHT * q), ids, values, strict=True):
            expected = law.topk(3)
            assert tokens.tolist() == expected.indices.tolist()
            assert torch.allclose(said, expected.values, atol=1e-6)


def test_on_policy_rollouts_have_their_tokens_as_drafts_and_no_alternatives(toy, keys, sample):
    samples = sample(Coin(), toy, [[0]] * 4, keys(4), SamplingParams(max_new_tokens=4), None, alternatives=3)
    assert torch.equal(samples.drafts, samples.ids)
    assert samples.alternatives is None
