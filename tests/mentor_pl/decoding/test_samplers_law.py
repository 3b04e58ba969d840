"""The samplers' law: on lookup tables, whose joint distribution can be enumerated, all three draw from π_mix.

The tests that break a sampler prove that the joint test would see it.
"""

from dataclasses import replace

import pytest
import torch

from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.algorithms.parts.gates import ConstantGate
from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.distribution import entropy
from mentor_pl.decoding.engine import one_pass, verify
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.engine.verify import CallResult, Verifier
from mentor_pl.decoding.naive import Naive
from mentor_pl.runtime.noise import DRAFT

# At most so many rows at a time: with 100,000 rollouts a call, rows are refilled 30 times over and are out of step.
ROWS = 3_000
TOY_SAMPLERS = {
    "coin": lambda: Coin(FixedK(3), rows=ROWS),
    "algorithm1": lambda: Algorithm1(4, rows=ROWS),
    "naive": lambda: Naive(rows=ROWS),
}
GAMMA = 2.0
# α = 1e-3 of each test, on fixed noise. Power: with 85 responses and 200,000 samples, a χ² distance of 5e-4 from the
# right joint distribution (an rms error of 2.2 % in a response's probability) is caught with probability .99; where
# 50,000 samples are drawn it is 2e-3 (4.5 %). Of the broken samplers below, the one that reuses the draft's noise is
# 4e-3 away, the one that evicts rows 3e-2, the wrong rules 6e-2 and more, and the one that keeps the tail 12.
ALPHA = 1e-3
FEWER, BROKEN = 50_000, 20_000  # for what shows with fewer


def gated(weight):
    """w(H) -> π_mix(π_θ, π*)."""

    def law(p, q):
        w = weight(float(torch.special.entr(p).sum()))
        return (1 - w) * p + w * q

    return law


def entropy_weight(h):
    return min(1.0, h / GAMMA)


@pytest.fixture(scope="module")
def mixture(toy, joint_of):
    """The toy's joint distribution under the entropy gate; its weights lie between 0 and 1 and vary."""
    rows = toy.policy.table[:, :4].detach().double().softmax(-1).flatten(0, 1)
    weights = [entropy_weight(float(torch.special.entr(p).sum())) for p in rows]
    assert min(weights) > 0.1
    assert max(weights) < 1
    assert max(weights) - min(weights) > 0.3
    probabilities = joint_of(gated(entropy_weight))
    assert int((probabilities > 0).sum()) == 1 + 4 + 16 * 5
    return probabilities


@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_three_tokens_are_jointly_distributed_as_autoregressive_sampling_from_the_mixture(
    sampler, counts_of, mixture, gate_of, chi_square
):
    assert chi_square(counts_of(sampler(), 200_000, gate_of(GAMMA)), mixture) > ALPHA


@pytest.mark.parametrize(
    "shape",
    [{"temperature": 0.6}, {"top_k": 2}, {"top_p": 0.7}, {"temperature": 1.5, "top_k": 4, "top_p": 0.8}],
    ids=str,
)
@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_temperature_and_filters_shape_each_model_before_they_are_mixed(
    sampler, shape, joint_of, counts_of, gate_of, chi_square
):
    got = counts_of(sampler(), FEWER, gate_of(GAMMA), **shape)
    assert chi_square(got, joint_of(gated(entropy_weight), **shape)) > ALPHA
    assert chi_square(got, joint_of(gated(entropy_weight))) < 1e-9


@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_weight_one_is_the_expert_alone_and_no_gate_the_policy_alone(sampler, joint_of, counts_of, chi_square):
    assert chi_square(counts_of(sampler(), FEWER, ConstantGate(1.0)), joint_of(lambda p, q: q)) > ALPHA
    assert chi_square(counts_of(sampler(), FEWER, None), joint_of(lambda p, q: p)) > ALPHA


@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_gamma_zero_is_the_expert_alone_wherever_the_policy_is_not_certain(
    sampler, joint_of, counts_of, gate_of, chi_square
):
    assert chi_square(counts_of(sampler(), FEWER, gate_of(0.0)), joint_of(lambda p, q: q)) > ALPHA


# What a wrong rule makes of (the right rule, log π_θ, log π*, draft, w, coin)
def residual_from_the_expert(rule, policy, expert, draft, weights, coin):
    return rule(policy, expert, draft, weights, coin)[0], expert.exp()


def coin_ignored(rule, policy, expert, draft, weights, coin):
    return rule(policy, expert, draft, torch.ones_like(weights), coin)


def coin_counted_twice(rule, policy, expert, draft, weights, coin):
    return rule(policy, expert, draft, weights.square(), coin)


def gate_read_from_the_expert(rule, policy, expert, draft, weights, coin):
    return rule(policy, expert, draft, (entropy(expert) / GAMMA).clamp(0, 1), coin)


def nothing_ever_rejected(rule, policy, expert, draft, weights, coin):
    return torch.zeros_like(draft, dtype=torch.bool), expert.exp()


RULES = [residual_from_the_expert, coin_ignored, coin_counted_twice, gate_read_from_the_expert, nothing_ever_rejected]


@pytest.mark.parametrize("wrong", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_the_joint_test_catches_a_wrong_rule(sampler, wrong, counts_of, mixture, gate_of, chi_square):
    broken = sampler()
    right = broken.guidance(GatedMixture(gate_of(GAMMA)))
    broken.guidance = lambda blend: replace(right, rule=lambda *columns: wrong(right.rule, *columns))
    assert chi_square(counts_of(broken, BROKEN, gate_of(GAMMA)), mixture) < 1e-9


@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_the_joint_test_catches_the_drafts_noise_drawn_again_for_the_residual(
    sampler, counts_of, mixture, gate_of, chi_square, monkeypatch
):
    monkeypatch.setattr(verify, "RESIDUAL", DRAFT)
    assert chi_square(counts_of(sampler(), FEWER, gate_of(GAMMA)), mixture) < 1e-9


@pytest.mark.parametrize("decision", ["exponential", "uniform"])
@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_the_joint_test_catches_noise_that_is_the_same_at_every_position(
    sampler, decision, counts_of, mixture, gate_of, chi_square, monkeypatch
):
    both, one = one_pass.draft_and_coin, getattr(verify, decision)

    def of_drafts(k, at, size):
        places = [torch.zeros_like(at) if decision == broken else at for broken in ("exponential", "uniform")]
        return both(k, places[0], size)[0], both(k, places[1], size)[1]

    monkeypatch.setattr(one_pass, "draft_and_coin", of_drafts)
    monkeypatch.setattr(verify, decision, lambda k, at, *rest: one(k, torch.zeros_like(at), *rest))
    assert chi_square(counts_of(sampler(), BROKEN, gate_of(GAMMA)), mixture) < 1e-9


def pend_again(verifier, table, slots):
    """Let drafts of `slots` behind what is verified wait for the expert again."""
    for slot in slots.tolist():
        behind = slice(int(table.verified[slot]), int(table.place[slot]))
        guided = verifier.drafts.buffers.guided[table.rollout[slot], behind]
        table.pending[slot] = len(guided) if verifier.guidance.every else int(guided.sum())
        verifier.drafts.pending[slot] = table.pending[slot]


def tail_kept(right, verifier, table):
    """The drafts behind a replaced one stay, though they were drawn for another token."""
    drafts, before = verifier.drafts, [table.place.clone(), table.drafting.clone(), verifier.drafts.token.clone()]
    result = right(verifier, table)
    rejected = (table.place < before[0]).nonzero().squeeze(1)
    for column, value in zip((table.place, table.drafting, drafts.token), before, strict=True):
        column[rejected] = value[rejected]
    drafts.place[rejected], drafts.drafting[rejected] = table.place[rejected], table.drafting[rejected].bool()
    pend_again(verifier, table, rejected)
    return result


def evicted(redraw):
    """A row that waits for the expert is evicted once, and what it had not settled is drafted anew on other noise."""

    def call(right, verifier, table):
        drafts = verifier.drafts
        if not hasattr(verifier, "patient"):
            verifier.patient = torch.ones(drafts.idle_row, dtype=torch.bool)
        slots = (table.pending[: table.used] > 0).nonzero().squeeze(1)
        slots = slots[verifier.patient[table.rollout[slots]]]
        rollouts, kept = table.rollout[slots], table.verified[slots]
        verifier.patient[rollouts] = False
        drafts.keys[rollouts] += redraw
        drafts.token[slots] = drafts.buffers.context[rollouts, kept]
        for column in (table, drafts):
            column.place[slots], column.pending[slots], column.drafting[slots] = kept, 0, 1
        if not (table.pending[: table.used] > 0).any():
            return CallResult(0, 0, 0, 0, 0, 0, 0)
        return right(verifier, table)

    return call


DRAFTERS = {"coin": TOY_SAMPLERS["coin"], "algorithm1": TOY_SAMPLERS["algorithm1"]}


def with_verifier(monkeypatch, wrong):
    right = Verifier.__call__
    monkeypatch.setattr(Verifier, "__call__", lambda verifier, table: wrong(right, verifier, table))


@pytest.mark.parametrize("sampler", DRAFTERS.values(), ids=DRAFTERS)
def test_the_joint_test_catches_a_tail_that_is_kept_behind_a_replaced_draft(
    sampler, counts_of, mixture, gate_of, chi_square, monkeypatch
):
    with_verifier(monkeypatch, tail_kept)
    assert chi_square(counts_of(sampler(), BROKEN, gate_of(GAMMA)), mixture) < 1e-9


def test_the_joint_test_catches_rows_that_are_evicted_while_they_wait_and_drawn_anew(
    counts_of, mixture, gate_of, chi_square, monkeypatch
):
    coin = TOY_SAMPLERS["coin"]
    right = counts_of(coin(), BROKEN, gate_of(GAMMA))
    with monkeypatch.context() as patch:
        with_verifier(patch, evicted(redraw=0))  # on their own noise they say the same again
        assert torch.equal(counts_of(coin(), BROKEN, gate_of(GAMMA)), right)
    with_verifier(monkeypatch, evicted(redraw=1))
    assert chi_square(counts_of(coin(), BROKEN, gate_of(GAMMA)), mixture) < 1e-9
