"""Laws that need the expert at every token: on lookup tables all three samplers draw from them, and say what they did.

The laws are written here once more, in float64 and from their definitions; the blends that are broken prove that the
joint test would see it.
"""

import pytest
import torch

from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.algorithms.parts.geometric_budget import GeometricBudget
from mentor_pl.algorithms.parts.kl_gate import KLGate
from mentor_pl.algorithms.parts.random_gate import RandomGate
from mentor_pl.algorithms.parts.top_k_rescue import TopKRescue
from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams

ROWS = 3_000  # at a time, so that rows are refilled and out of step
SAMPLERS = {
    "coin": lambda: Coin(FixedK(3), rows=ROWS),
    "algorithm1": lambda: Algorithm1(4, rows=ROWS),
    "naive": lambda: Naive(rows=ROWS),
}
K, EPSILON, KAPPA = 2, 0.3, 1.5
# of each test, on fixed noise; with 85 responses and 100,000 samples a χ² distance of 1e-3 is caught with
# probability .99, and the broken laws below are so far away that a fifth of the samples shows them
ALPHA, SAMPLES, BROKEN = 1e-3, 100_000, 20_000


def kl(p, q):
    return float(torch.where(p > 0, p * (p / q).log(), 0).sum())


def outside(p, q):
    """The policy's mass outside the expert's K likeliest tokens."""
    return 1 - float(p[sorted(range(5), key=lambda v: -q[v])[:K]].sum())


def rescued(p, q):
    law = outside(p, q) * q
    for v in sorted(range(5), key=lambda v: -q[v])[:K]:
        law[v] += p[v]
    return law


def tilted(p, q, beta):
    law = p ** (1 - beta) * q**beta
    return law / law.sum()


def greatest(p, q):
    """β by bisection down to the last bit."""
    if kl(q, p) <= EPSILON:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if kl(tilted(p, q, middle), p) <= EPSILON else (low, middle)
    return low


def disagreement(p, q):
    return min(1.0, kl(q, p) / KAPPA)


# the blend, its law, its weight
LAWS = {
    "rescue": (TopKRescue(K), rescued, outside),
    "budget": (GeometricBudget(EPSILON), lambda p, q: tilted(p, q, greatest(p, q)), greatest),
    "kl gate": (
        GatedMixture(KLGate(KAPPA)),
        lambda p, q: (1 - disagreement(p, q)) * p + disagreement(p, q) * q,
        disagreement,
    ),
}
each_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
each_law = pytest.mark.parametrize(("blend", "law", "weight"), LAWS.values(), ids=LAWS)


@pytest.fixture(scope="module")
def places(toy):
    """(π_θ, π*) of every place and last token of the toy, float64."""
    return [
        (p.detach().double().softmax(-1), q.detach().double().softmax(-1))
        for p, q in zip(toy.policy.table[:, :4].flatten(0, 1), toy.expert.table[:, :4].flatten(0, 1), strict=True)
    ]


@each_law
def test_the_toys_weights_vary_and_reach_neither_or_one_of_their_ends(blend, law, weight, places):
    weights = [weight(p, q) for p, q in places]
    assert max(weights) - min(weights) > 0.3
    assert sum(0 < w < 1 for w in weights) >= 6


@each_law
@each_sampler
def test_three_tokens_are_jointly_distributed_as_autoregressive_sampling_from_the_law(
    sampler, blend, law, weight, counts_of, joint_of, chi_square
):
    assert chi_square(counts_of(sampler(), SAMPLES, blend), joint_of(law)) > ALPHA


class ThePolicysTopK(TopKRescue):
    def mixture(self, policy, expert, weights):
        return super().mixture(policy, policy, weights)

    def settle(self, policy, expert, draft, weights, coin):
        return super().settle(policy, policy, draft, weights, coin)[0], expert.exp()


class RedrawnOutsideTheTopK(TopKRescue):
    def mixture(self, policy, expert, weights):
        others = expert * (super().mixture(torch.ones_like(policy), expert, weights * 0) == 0)
        return super().mixture(policy, others / others.sum(-1, keepdim=True), weights)

    def settle(self, policy, expert, draft, weights, coin):
        fell, residual = super().settle(policy, expert, draft, weights, coin)
        return fell, residual * (super().mixture(torch.ones_like(policy), residual, weights * 0) == 0)


class OneMore(TopKRescue):
    def __init__(self, k):
        super().__init__(k + 1)


class TwiceTheBudget(GeometricBudget):
    def __init__(self, epsilon):
        super().__init__(2 * epsilon)


class MixedByAddition(GeometricBudget):
    def mixture(self, policy, expert, weights):
        return (1 - weights[:, None]) * policy + weights[:, None] * expert


class RedrawnFromTheExpert(GeometricBudget):
    def accept(self, policy, expert, draft, weights, coin):
        return super().accept(policy, expert, draft, weights, coin)[0], expert.exp()


BROKEN_LAWS = {
    blend.__name__: (blend, setting, law)
    for blend, setting, law in (
        (ThePolicysTopK, K, "rescue"),
        (RedrawnOutsideTheTopK, K, "rescue"),
        (OneMore, K, "rescue"),
        (TwiceTheBudget, EPSILON, "budget"),
        (MixedByAddition, EPSILON, "budget"),
        (RedrawnFromTheExpert, EPSILON, "budget"),
    )
}


@pytest.mark.parametrize(("blend", "setting", "name"), BROKEN_LAWS.values(), ids=BROKEN_LAWS)
@each_sampler
def test_the_joint_test_catches_a_wrong_law(sampler, blend, setting, name, counts_of, joint_of, chi_square):
    assert chi_square(counts_of(sampler(), BROKEN, blend(setting)), joint_of(LAWS[name][1])) < 1e-9


@each_law
@each_sampler
def test_what_is_reported_of_each_token_is_the_tables(sampler, blend, law, weight, toy, keys, sample):
    samples = sample(sampler(), toy, [[0]] * 300, keys(300), SamplingParams(max_new_tokens=3), blend)
    for row, length in enumerate(samples.lengths.tolist()):
        last = 0
        for place, token in enumerate(samples.ids[row, :length].tolist()):
            p, q = (model.table[place, last].detach().double().softmax(-1) for model in (toy.policy, toy.expert))
            first, second = sorted(p.tolist())[:-3:-1]
            expected = {
                "logprobs": float(p[token].log()),  # of the token that stands, whoever said it
                "entropies": float(torch.special.entr(p).sum()),
                "gate_weights": weight(p, q),
                "margins": first - second,
                "divergences": kl(q, p),
            }
            for name, value in expected.items():
                assert getattr(samples, name)[row, place].item() == pytest.approx(value, abs=1e-5), name
            last = token
        for name in (*expected, "guided", "replaced"):
            assert not getattr(samples, name)[row, length:].any()
    assert samples.replaced.any()
    assert not (samples.replaced & ~samples.guided).any()


@pytest.mark.parametrize("name", ["coin", "naive"])
def test_rescued_tokens_are_guided_and_those_that_came_out_the_same_not_replaced(name, toy, keys, sample):
    n = 50_000
    samples = sample(SAMPLERS[name](), toy, [[0]] * n, keys(n), SamplingParams(max_new_tokens=1), TopKRescue(K))
    p, q = (model.table[0, 0].detach().double().softmax(-1) for model in (toy.policy, toy.expert))
    again = sum(float(p[v] * q[v]) for v in sorted(range(5), key=lambda v: -q[v])[K:])
    assert again > 0.02
    # four standard errors of a share of 50,000 are .009 at most
    assert samples.guided.float().mean().item() == pytest.approx(outside(p, q), abs=0.009)
    assert samples.replaced.float().mean().item() == pytest.approx(outside(p, q) - again, abs=0.009)


def test_a_law_without_coins_guides_what_it_replaces(toy, keys, sample):
    sampling = SamplingParams(max_new_tokens=3)
    samples = sample(SAMPLERS["coin"](), toy, [[0]] * 2_000, keys(2_000), sampling, GeometricBudget(EPSILON))
    assert samples.replaced.any()
    assert torch.equal(samples.guided, samples.replaced)


@each_law
def test_coin_and_naive_come_to_the_same_tokens(blend, law, weight, toy, keys, sample, equal_samples):
    sampling = SamplingParams(max_new_tokens=3)
    one, other = (
        sample(SAMPLERS[name](), toy, [[0]] * 2_000, keys(2_000), sampling, blend) for name in ("coin", "naive")
    )
    equal_samples(one, other)


NOBODY = {"rescue": TopKRescue(5), "budget": GeometricBudget(0.0), "kl gate": GatedMixture(KLGate(1e30))}


@pytest.mark.parametrize("blend", NOBODY.values(), ids=NOBODY)
@each_sampler
def test_without_guidance_the_tokens_are_the_policys_to_the_last_bit(sampler, blend, toy, keys, sample):
    sampling = SamplingParams(max_new_tokens=3)
    mixed, own = (sample(sampler(), toy, [[0]] * 20_000, keys(20_000), sampling, law) for law in (blend, None))
    for name in ("ids", "lengths", "logprobs", "entropies", "replaced"):
        assert torch.equal(getattr(mixed, name), getattr(own, name)), name


@each_sampler
def test_random_guidance_has_the_constant_mixtures_law_and_says_which_tokens_it_chose(
    sampler, toy, keys, sample, counts_of, joint_of, chi_square
):
    gate = RandomGate()
    gate.mean = 0.4
    assert chi_square(counts_of(sampler(), SAMPLES, gate), joint_of(lambda p, q: 0.6 * p + 0.4 * q)) > ALPHA
    samples = sample(sampler(), toy, [[0]] * 2_000, keys(2_000), SamplingParams(max_new_tokens=3), gate)
    assert torch.equal(samples.guided, samples.gate_weights == 1)
    assert samples.guided[:, 0].float().mean().item() == pytest.approx(0.4, abs=0.045)  # four standard errors
