"""What decoding cost, counted by hand on toys whose every token is known, and against what the models were fed."""

from dataclasses import asdict
from types import SimpleNamespace

import pytest
import torch

from mentor_pl.algorithms.parts.gates import ConstantGate, Gate
from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine import stats
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams

GUIDED, LIMIT = ConstantGate(1.0), SamplingParams(max_new_tokens=9)
NAMES = list(asdict(DecodeStats()))[:-1]


class Uncertain(Gate):
    """Guides whatever the policy is not certain of."""

    def __call__(self, drafts):
        return (drafts.entropies > 0.1).float()


def counts(samples):
    """Counts that are not 0."""
    return {name: value for name, value in asdict(samples.stats).items() if name in NAMES and value}


@pytest.fixture
def two_rows(counting, keys, sample):
    """Prompts that end on 3 and 1 are answered with 4 5 and 2 3 4 5, 5 being the stop token; nothing is replaced."""
    return lambda sampler, gate: counts(
        sample(sampler, counting([5], size=6), [[0, 3], [0, 2, 1]], keys(2), LIMIT, gate)
    )


def test_on_policy_rollouts_cost_a_forward_per_token_of_the_longest(two_rows):
    # steps over 2, 2, 1, 1 rows; of the prompts 1 and 2 tokens are read
    assert two_rows(Coin(), None) == {"tokens": 6, "policy_forwards": 4, "policy_tokens": 6, "prefill_tokens": 3}


def test_with_one_row_the_rollouts_follow_one_another(two_rows):
    assert two_rows(Coin(rows=1), None) == {
        "tokens": 6,
        "policy_forwards": 6,
        "policy_tokens": 6,
        "prefill_tokens": 3,
    }


@pytest.mark.parametrize(
    ("sampler", "gate"),
    [
        (Naive(), GUIDED),
        (Coin(FixedK(1)), GUIDED),
        (Algorithm1(1), GUIDED),
        (Naive(), ConstantGate(0.0)),  # whether or not a coin asks for the expert
        (Algorithm1(1), ConstantGate(0.0)),
    ],
)
def test_both_models_read_every_token_at_every_step(sampler, gate, two_rows):
    assert two_rows(sampler, gate) == {
        "tokens": 6,
        "policy_forwards": 4,
        "policy_tokens": 6,
        "prefill_tokens": 2 * 3,
        "expert_prefill_tokens": 3,
        "expert_calls": 4,
        "expert_tokens": 6,
        "scored_positions": 6,
        "expert_rows": 6,
    }


@pytest.mark.parametrize("sampler", [Coin(FixedK(3)), Algorithm1(3)])
def test_drafts_of_three_tokens(sampler, two_rows):
    # 4 5 _ and 2 3 4 are drafted, the first row idle at the third step, and verified in spans of 2 and 3; then 5
    assert two_rows(sampler, GUIDED) == {
        "tokens": 6,
        "policy_forwards": 4,
        "policy_tokens": 7,
        "idle": 1,
        "prefill_tokens": 2 * 3,
        "expert_prefill_tokens": 3,
        "expert_calls": 2,
        "expert_tokens": 5 + 1,
        "scored_positions": 5 + 1,
        "expert_rows": 2 + 1,
        "padding": 1,
    }


def test_what_falls_behind_a_replaced_draft_was_drafted_and_read_in_vain(scripted, keys, sample):
    # 1 2 3 is drafted and rolled back behind its second token, which becomes 4; then 3 7
    models = scripted([1, 2, 3, 7], [1, 4, 3, 7])
    assert counts(sample(Coin(FixedK(3)), models, [[0]], keys(1), LIMIT, GUIDED)) == {
        "tokens": 4,
        "policy_forwards": 5,
        "policy_tokens": 5,
        "rolled_back": 1,
        "expert_calls": 2,
        "expert_tokens": 3 + 2,
        "scored_positions": 3 + 2,
        "expert_rows": 2,
    }


def test_the_expert_reads_up_to_the_last_guided_token_and_speaks_at_guided_tokens_alone(scripted, keys, sample):
    # only the second token is guided; the draft goes on for one more step, and then the row goes on without a call
    models = scripted([1, (2, 3), 4, 5, 7], [1, (2, 3), 4, 5, 7])
    assert counts(sample(Coin(FixedK(2)), models, [[0]], keys(1), LIMIT, Uncertain())) == {
        "tokens": 5,
        "policy_forwards": 5,
        "policy_tokens": 5,
        "expert_calls": 1,
        "expert_tokens": 2,
        "scored_positions": 1,
        "expert_rows": 1,
    }


def test_rows_without_a_guided_token_take_no_part_in_a_call(scripted, keys, sample):
    # the first token of a rollout is guided; the second rollout's is not, since its prompt ends one place later
    models = scripted([(1, 2), 3, 4, 7, 7], [(1, 2), 3, 4, 7, 7])
    got = counts(sample(Coin(FixedK(2)), models, [[0], [0, 0]], keys(2), LIMIT, Uncertain()))
    # the first is 1 3 4 7, the second 3 4 7: steps over 2, 2, 2, 1 rows
    assert got == {
        "tokens": 7,
        "policy_forwards": 4,
        "policy_tokens": 7,
        "prefill_tokens": 2,
        "expert_prefill_tokens": 1,
        "expert_calls": 1,
        "expert_tokens": 1,
        "scored_positions": 1,
        "expert_rows": 1,
    }


def counted(model):
    """Let a model note how many tokens each of its forwards is fed."""
    fed, forward = [], model.forward

    def noting(input_ids, **options):
        fed.append(input_ids.numel())
        return forward(input_ids=input_ids, **options)

    model.forward = noting
    return fed


@pytest.mark.parametrize("gate", [None, ConstantGate(0.3), ConstantGate(0.9)], ids=["on-policy", "some", "most"])
@pytest.mark.parametrize("sampler", [Coin(FixedK(3), rows=4), Algorithm1(4, rows=4), Naive(rows=4)])
def test_every_token_that_a_model_is_fed_is_counted_once(sampler, gate, lookup_models, keys, sample):
    generator = torch.Generator().manual_seed(5)
    models = lookup_models(*(torch.randn(3, 5, 5, generator=generator) for _ in range(2)))
    by_policy, by_expert = counted(models.policy), counted(models.expert)
    prompts = [[1, 2, 3], [1, 2, 3], [0, 2], [4]] * 5
    on_host = sample(sampler, models, prompts, keys(20), LIMIT, gate).stats
    prefill = on_host.prefill_tokens - on_host.expert_prefill_tokens
    assert sum(by_policy) == on_host.policy_tokens + prefill
    assert sum(by_expert) == on_host.expert_tokens + on_host.expert_prefill_tokens
    assert on_host.tokens == on_host.policy_tokens - on_host.idle - on_host.rolled_back


def filled(start):
    """Counts start, start + 1, …"""
    return DecodeStats(**{name: start + i for i, name in enumerate(NAMES)})


def test_statistics_add_up_count_by_count_and_part_by_part():
    one, other = filled(1), filled(100)
    one.seconds, other.seconds = {"drafting": 1.0, "prefill": 2.0}, {"drafting": 0.5, "verifying": 4.0}
    total = one + other
    assert [getattr(total, name) for name in NAMES] == [101 + 2 * i for i in range(len(NAMES))]
    assert total.seconds == {"drafting": 1.5, "prefill": 2.0, "verifying": 4.0}
    assert one.seconds == {"drafting": 1.0, "prefill": 2.0}  # as they were


def test_every_count_is_reported_per_response_token():
    cost = DecodeStats(tokens=4, policy_forwards=2, graphed=1, rolled_back=6)
    expected = {"policy_forwards": 0.5, "graphed": 0.5, "rolled_back": 1.5}  # 1 of 2 forwards was replayed
    assert cost.rates() == dict.fromkeys(NAMES[1:], 0.0) | expected
    assert DecodeStats(idle=3).rates()["idle"] == 3.0  # without any token there is no division by 0


def test_seconds_are_added_to_their_part_even_after_an_error(monkeypatch):
    now = iter([10.0, 12.0, 20.0, 25.0])
    monkeypatch.setattr(stats, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    on_host = DecodeStats()
    with on_host.timed("drafting"):
        pass
    with pytest.raises(KeyError), on_host.timed("drafting"):
        raise KeyError
    assert on_host.seconds == {"drafting": 7.0}


def test_a_call_times_reading_drafting_and_verifying(counting, keys, sample):
    models = counting([4])
    assert set(sample(Coin(), models, [[0]], keys(1), LIMIT).stats.seconds) == {"prefill", "drafting"}
    on_host = sample(Naive(), models, [[0]], keys(1), LIMIT, GUIDED).stats
    assert set(on_host.seconds) == {"prefill", "drafting", "verifying"}
    assert min(on_host.seconds.values()) > 0
