"""A response ends with its first stop token or at its limit, and is handed over then, once."""

import pytest
import torch

from mentor_pl.algorithms.parts.gates import ConstantGate
from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.lookahead import FixedK, MarginalValue
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams

END = 7  # of the scripted models
SAMPLERS = {
    "coin, K = 1": lambda: Coin(FixedK(1)),
    "coin, K = 3": lambda: Coin(FixedK(3)),
    "coin, K = 8": lambda: Coin(FixedK(8)),
    "coin, marginal value": lambda: Coin(MarginalValue()),
    "algorithm1, K = 1": lambda: Algorithm1(1),
    "algorithm1, K = 4": lambda: Algorithm1(4),
    "algorithm1, K = 8": lambda: Algorithm1(8),
    "naive": lambda: Naive(),
}


@pytest.mark.parametrize(
    ("policy", "expert", "limit", "response", "replaced", "truncated"),
    [
        # under weight 1 the response is the expert's, whatever the policy drafts
        ([END], [END], 5, [END], [0], False),  # at the first place
        ([1, END], [1, END], 5, [1, END], [0, 0], False),  # inside a draft
        ([1, 2, END], [1, 2, END], 3, [1, 2, END], [0, 0, 0], False),  # the last token that is allowed
        ([1, 2, 3, END], [1, 2, 3, END], 3, [1, 2, 3], [0, 0, 0], True),  # one too late
        ([END], [END], 1, [END], [0], False),
        ([1], [1], 1, [1], [0], True),
        ([1, 2], [END, 2], 5, [END], [1], False),  # what replaces a draft ends it
        ([1, 2, 3], [1, END, 3], 5, [1, END], [0, 1], False),
        ([1, 2, 3], [1, 2, END], 3, [1, 2, END], [0, 0, 1], False),  # the same with the last token
        ([1], [END], 1, [END], [1], False),
        ([END, 1, 2], [3, 4, END], 5, [3, 4, END], [1, 1, 1], False),  # a draft that ended it is replaced
        ([1, END, 2], [1, 3, END], 5, [1, 3, END], [0, 1, 1], False),
        ([1, END, 2, END], [4, 3, 2, END], 5, [4, 3, 2, END], [1, 1, 0, 0], False),  # it fell with its draft
        ([1, 2, END], [1, 3, 4], 3, [1, 3, 4], [0, 1, 1], True),
        ([1, 2, 3], [4, 2, 3], 3, [4, 2, 3], [1, 0, 0], True),  # behind the limit, waiting, and rejected
        ([1], [2], 1, [2], [1], True),
    ],
    ids=str,
)
@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_a_response_ends_with_its_first_stop_token_or_at_its_limit(
    sampler, policy, expert, limit, response, replaced, truncated, scripted, keys, sample
):
    models, sampling = scripted(policy, expert), SamplingParams(max_new_tokens=limit)
    samples = sample(sampler(), models, [[0]], keys(1), sampling, ConstantGate(1.0))
    assert samples.ids.tolist() == [response]
    assert samples.lengths.tolist() == [len(response)]
    assert samples.replaced.tolist() == [[bool(one) for one in replaced]]
    assert samples.guided.tolist() == [[True] * len(response)]
    assert samples.truncated.tolist() == [truncated]


@pytest.mark.parametrize(
    ("policy", "expert", "response"),
    [
        # one token is guided, since the policy would say 1 or 2; the stop token behind it needs no expert
        ([(1, 2), END], [3, 4, END], [3, END]),  # drafted twice, once behind each of them
        ([(1, 2), END, 5], [3, 4, END], [3, END]),
        ([6, (1, 2), END], [0, 3, 0], [6, 3, END]),
        ([(1, END), 5, END], [END, 5, 5], [END]),  # the guided token ends it, drafted or not
        ([(1, END), 5, END], [1, 5, 5], [1, 5, END]),  # and does not end it
        ([(1, 2), (3, 4), END], [5, 6, 5], [5, 6, END]),
    ],
    ids=str,
)
@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_a_stop_token_behind_a_waiting_draft_ends_the_response_only_if_the_draft_stands(
    sampler, policy, expert, response, scripted, keys, sample, uncertain
):
    n = 6  # some draft one of the two, some the other
    models, sampling = scripted(policy, expert), SamplingParams(max_new_tokens=6)
    samples = sample(sampler(), models, [[0]] * n, keys(n), sampling, uncertain)
    assert samples.ids.tolist() == [response] * n
    guided = [isinstance(token, tuple) for token in policy[: len(response)]]
    assert samples.guided.tolist() == [guided] * n
    assert not (samples.replaced & ~samples.guided).any()


@pytest.mark.parametrize("gate", [None, ConstantGate(0.5)], ids=["on-policy", "mixed"])
@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_rows_end_one_by_one_and_the_others_go_on(sampler, gate, counting, keys, sample):
    # prompts that end on 3, 1, 2 reach the stop token 4 after 1, 3 and 2 tokens; the one on 0 not within 3
    prompts, sampling = [[3], [0, 1], [2], [1, 1, 0]], SamplingParams(max_new_tokens=3)
    samples = sample(sampler(), counting([4]), prompts, keys(4), sampling, gate)
    assert samples.ids.tolist() == [[4, 0, 0], [2, 3, 4], [3, 4, 0], [1, 2, 3]]
    assert samples.lengths.tolist() == [1, 3, 2, 3]
    assert samples.truncated.tolist() == [False, False, False, True]


def test_any_of_several_stop_tokens_ends_a_response(counting, keys, sample):
    samples = sample(Coin(), counting([2, 4]), [[0], [2], [3]], keys(3), SamplingParams(max_new_tokens=5))
    assert samples.ids.tolist() == [[1, 2], [3, 4], [4, 0]]
    assert samples.lengths.tolist() == [2, 2, 1]


def test_a_stop_token_that_is_also_the_padding_counts_once(counting, keys, sample):
    # 0 follows 4, ends a response, and is what shorter rows are filled with
    samples = sample(Coin(), counting([0]), [[4], [2]], keys(2), SamplingParams(max_new_tokens=5), ConstantGate(0.5))
    assert samples.ids.tolist() == [[0, 0, 0], [3, 4, 0]]
    assert samples.lengths.tolist() == [1, 3]
    assert not samples.truncated.any()
    assert not samples.logprobs[0, 1:].any()


def test_responses_are_as_wide_as_the_longest_and_not_as_the_limit(counting, keys, sample):
    samples = sample(Coin(), counting([4]), [[3], [2]], keys(2), SamplingParams(max_new_tokens=50))
    shapes = {tuple(value.shape) for value in vars(samples).values() if isinstance(value, torch.Tensor)}
    assert shapes == {(2, 2), (2,)}


def test_a_rows_limit_may_be_shorter_than_the_samplings(counting, keys, sample):
    models, sampling = counting([4]), SamplingParams(max_new_tokens=4)
    samples = sample(Coin(), models, [[0], [0], [0]], keys(3), sampling, ConstantGate(0.5), limits=[1, 4, 3])
    assert samples.ids.tolist() == [[1, 0, 0, 0], [1, 2, 3, 4], [1, 2, 3, 0]]
    assert samples.truncated.tolist() == [True, False, True]


def test_positions_count_the_rows_own_tokens(lookup_models, keys, sample):
    # at place p the model always says p: a prompt of length n is answered with n − 1, n, …
    places = torch.full((5, 6, 6), -50.0)
    for place in range(5):
        places[place, :, place] = 50
    models = lookup_models(places, stop_ids=[5])
    samples = sample(Coin(), models, [[0], [0, 0, 0], [0, 0]], keys(3), SamplingParams(max_new_tokens=2))
    assert samples.ids.tolist() == [[0, 1], [2, 3], [1, 2]]


# ---------------------------------------------------------------- handing over


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("rows", [1, 2, 9])
def test_every_rollout_is_handed_over_once_with_its_tokens(rows, sampler, scripted, keys, sample):
    on_host = {}

    def on_end(rollout, ids):
        assert rollout not in on_host
        on_host[rollout] = ids

    # some rollouts are 4 tokens long, some 2, depending on which of two tokens comes second
    models = scripted([1, (2, END), 3, END], [4, (2, END), 3, END])
    chosen, n = sampler(), 8
    chosen.rows = rows
    gate, sampling = ConstantGate(0.5), SamplingParams(max_new_tokens=9)
    samples = sample(chosen, models, [[0]] * n, keys(n), sampling, gate, on_end=on_end)
    assert set(samples.lengths.tolist()) == {2, 4}
    assert on_host == {row: samples.ids[row, :length].tolist() for row, length in enumerate(samples.lengths.tolist())}


def test_a_rollout_is_handed_over_when_it_ends_and_not_with_the_last_one(counting, keys, sample):
    models, on_host, steps = counting([4]), {}, []
    forward = models.policy.forward

    def counted(*arguments, **options):
        steps.append(1)
        return forward(*arguments, **options)

    models.policy.forward = counted
    # after 4, 1 and 3 steps; the fourth takes the slot of the second and ends with 2 steps more
    sample(
        Coin(rows=3),
        models,
        [[0], [3], [1], [2]],
        keys(4),
        SamplingParams(max_new_tokens=9),
        on_end=lambda rollout, ids: on_host.update({rollout: (ids, len(steps))}),
    )
    assert on_host == {1: ([4], 1), 2: ([2, 3, 4], 3), 3: ([3, 4], 3), 0: ([1, 2, 3, 4], 4)}
