"""Continuous batching: which rows share a forward changes no rollout, prompts are read once, responses end where they
must, and what does not fit is refused."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.algorithms.parts.gates import ConstantGate, Gate
from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.cuda_graphs import bucket
from mentor_pl.decoding.engine.engine import STRIDE, Engine
from mentor_pl.decoding.engine.lookahead import FixedK, LookaheadSchedule, MarginalValue
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import decoding
from mentor_pl.models.logprobs import token_logprobs
from mentor_pl.runtime.errors import UsageError

LOOSE = 13.0  # γ_p under which a third of the tokens is guided and a fifth replaced
SAMPLING = SamplingParams(max_new_tokens=16)
END = 7  # of the scripted models
TEXTS = ("find the value of x", "we try", "wait , let us verify the product", "the answer is")


class Uncertain(Gate):
    """Guides whatever the policy is not certain of."""

    def __call__(self, entropies):
        return (entropies > 0.1).float()


# name -> (sampler type, its options, whether rollouts are mixed)
MODES = {
    "on-policy": (Coin, {"schedule": FixedK(3)}, False),
    "coin": (Coin, {"schedule": FixedK(3)}, True),
    "algorithm1": (Algorithm1, {"k": 4}, True),
    "naive": (Naive, {}, True),
}


@pytest.fixture(scope="module", params=["qwen2", "sliding"])
def pair(request, family):
    """Policy and expert; one id in eleven ends a response, so that lengths differ."""
    return with_stops(family(request.param), range(0, 320, 11))


def with_stops(models, stop_ids):
    return replace(models, vocabulary=replace(models.vocabulary, stop_ids=tuple(stop_ids)))


@pytest.fixture(scope="module")
def prompts(pair):
    """2 rollouts to each of 4 prompts."""
    return [pair.tokenizer(text)["input_ids"] for text in TEXTS for _ in range(2)]


@pytest.fixture(scope="module", params=MODES.values(), ids=MODES)
def mode(request, gate_of):
    """(sampler options -> sampler, gate)"""
    sampler, options, mixed = request.param
    return lambda **more: sampler(**options, **more), gate_of(LOOSE) if mixed else None


@pytest.fixture(scope="module")
def whole(pair, prompts, keys, mode, sample):
    """The rollouts with every row in its own slot from the start."""
    sampler, gate = mode
    samples = sample(sampler(), pair, prompts, keys(len(prompts)), SAMPLING, gate)
    assert len(samples.lengths.unique()) >= 3
    assert samples.truncated.any()
    assert not samples.truncated.all()
    return samples


# ---------------------------------------------------------------- refilling


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_refilling_rows_changes_no_rollout(rows, pair, prompts, keys, mode, whole, sample, equal_samples):
    sampler, gate = mode
    samples = sample(sampler(rows=rows), pair, prompts, keys(len(prompts)), SAMPLING, gate)
    equal_samples(whole, samples)
    assert samples.stats.policy_tokens <= rows * samples.stats.policy_forwards


def test_rows_that_do_not_fit_the_cache_wait(pair, prompts, keys, mode, whole, sample, equal_samples):
    sampler, gate = mode
    longest = max(map(len, prompts)) + SAMPLING.max_new_tokens
    samples = sample(sampler(cache_tokens=3 * longest), pair, prompts, keys(len(prompts)), SAMPLING, gate)
    equal_samples(whole, samples)


@pytest.mark.parametrize(
    ("rows", "cache_tokens", "slots"),
    [(9, 1000, 6), (9, 35, 5), (9, 34, 4), (9, 14, 2), (9, 13, 1), (9, 7, 1), (2, 35, 2), (5, 34, 4)],
)
def test_a_row_takes_the_longest_prompt_and_response(rows, cache_tokens, slots, counting, keys, sample):
    # six rollouts: prompts of 1 and 3 tokens, and of 4 tokens the responses: 7 places
    sampler, prompts = Coin(rows=rows, cache_tokens=cache_tokens), [[0], [1, 1, 0]] * 3
    samples = sample(sampler, counting([4]), prompts, keys(6), SamplingParams(max_new_tokens=4))
    assert samples.ids.tolist() == [[1, 2, 3, 4]] * 6
    assert samples.stats.policy_forwards == 4 * -(-6 // slots)


def test_the_order_of_the_prompts_changes_no_rollout(pair, prompts, keys, mode, whole, sample, equal_samples):
    sampler, gate = mode
    order = torch.randperm(len(prompts), generator=torch.Generator().manual_seed(1))
    key = keys(len(prompts))[order]
    equal_samples(whole, sample(sampler(rows=4), pair, [prompts[i] for i in order], key, SAMPLING, gate), order)


def test_a_rollout_with_a_limit_of_its_own_is_the_beginning_of_the_unlimited_one(
    pair, prompts, keys, mode, whole, sample
):
    sampler, gate = mode
    limits = [1 + 5 * row % SAMPLING.max_new_tokens for row in range(len(prompts))]
    samples = sample(sampler(rows=5), pair, prompts, keys(len(prompts)), SAMPLING, gate, limits=limits)
    expected = torch.minimum(whole.lengths, torch.tensor(limits))
    assert samples.lengths.tolist() == expected.tolist()
    assert samples.truncated.tolist() == (whole.truncated | (whole.lengths > torch.tensor(limits))).tolist()
    for row, n in enumerate(expected.tolist()):
        for name in ("ids", "guided", "replaced"):
            assert torch.equal(getattr(samples, name)[row, :n], getattr(whole, name)[row, :n]), name
            assert not getattr(samples, name)[row, n:].any(), name
        assert torch.allclose(samples.logprobs[row, :n], whole.logprobs[row, :n], atol=1e-4)


def test_a_rollout_does_not_depend_on_those_beside_it(pair, prompts, keys, mode, whole, sample, equal_samples):
    sampler, gate = mode
    few = torch.tensor([7, 2, 5])
    samples = sample(sampler(), pair, [prompts[i] for i in few], keys(len(prompts))[few], SAMPLING, gate)
    n = samples.ids.shape[1]
    for name in ("ids", "guided", "replaced"):
        assert torch.equal(getattr(samples, name), getattr(whole, name)[few, :n]), name
    assert torch.equal(samples.lengths, whole.lengths[few])


# ---------------------------------------------------------------- shapes and looks of a GPU, on the CPU


@pytest.fixture
def engine(pair, prompts, keys, mode):
    """An engine with 5 rows, to be run by `ran`."""
    sampler, gate = mode
    guidance = gate and sampler().guidance(GatedMixture(gate))
    key = keys(len(prompts))
    return Engine(pair, prompts, key, SAMPLING, guidance, rows=5, cache_tokens=2**20)


def ran(engine):
    with decoding(engine.models.policy):
        return engine.run()


def test_a_step_over_more_rows_and_places_than_needed_changes_no_rollout(engine, whole, equal_samples):
    length, step = engine.runners[0].cache.length, engine.drafts.step
    engine.step = lambda rows, width: step(min(rows + 2, 5), min(bucket(width, 8), length))
    equal_samples(whole, ran(engine))


def test_a_step_over_all_slots_and_all_places_changes_no_rollout(engine, whole, equal_samples):
    slots, length, step = 5, engine.runners[0].cache.length, engine.drafts.step
    engine.step = lambda rows, width: step(slots, length)
    equal_samples(whole, ran(engine))


def test_several_steps_between_two_looks_change_no_rollout(engine, whole, equal_samples):
    looks, sync = [], engine.drafts.sync
    engine.on_gpu = True

    def counted(table):
        looks.append(1)
        sync(table)

    engine.drafts.sync = counted
    samples = ran(engine)
    equal_samples(whole, samples)
    stride = STRIDE if engine.guidance is None else engine.guidance.schedule.stride
    assert len(looks) * stride == samples.stats.policy_forwards


def test_a_row_that_has_ended_between_two_looks_asks_for_no_expert(scripted, keys):
    # the row ends at its second token; what it is fed further on would be uncertain, and so be guided
    models, sampling = (
        scripted([1, END, (2, 3), (2, 3), 1], [1, END, (2, 3), (2, 3), 1]),
        SamplingParams(max_new_tokens=9),
    )
    engine = Engine(
        models, [[0]], keys(1), sampling, Coin(FixedK(4)).guidance(GatedMixture(Uncertain())), rows=1, cache_tokens=99
    )
    engine.on_gpu = True
    samples = ran(engine)
    assert samples.ids.tolist() == [[1, END]]
    assert not samples.guided.any()
    assert (samples.stats.policy_forwards, samples.stats.idle, samples.stats.expert_calls) == (4, 2, 0)


def test_a_schedule_whose_look_ahead_is_no_multiple_of_its_stride_is_never_outrun(
    pair, prompts, keys, gate_of, sample, equal_samples
):
    class Uneven(FixedK):
        """Calls the expert only when it must; looks every 3 of 7 steps."""

        def __init__(self):
            super().__init__(7)
            self.stride = 3

        def due(self, state):
            assert state.age <= 7
            return False

    gate, key = gate_of(4 * LOOSE), keys(len(prompts))
    whole = sample(Naive(), pair, prompts, key, SAMPLING, gate)
    engine = Engine(
        pair, prompts, key, SAMPLING, Coin(Uneven()).guidance(GatedMixture(gate)), rows=5, cache_tokens=2**20
    )
    engine.on_gpu = True
    equal_samples(whole, ran(engine))


# ---------------------------------------------------------------- where responses end

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
        ([1, 2, 3], [4, 2, 3], 3, [4, 2, 3], [1, 0, 0], True),  # behind the limit, waiting, and cut
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
    sampler, policy, expert, response, scripted, keys, sample
):
    n = 6  # some draft one of the two, some the other
    models, sampling = scripted(policy, expert), SamplingParams(max_new_tokens=6)
    samples = sample(sampler(), models, [[0]] * n, keys(n), sampling, Uncertain())
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
    # after 4, 1 and 3 steps; the fourth takes the seat of the second and ends with 2 steps more
    sample(
        Coin(rows=3),
        models,
        [[0], [3], [1], [2]],
        keys(4),
        SamplingParams(max_new_tokens=9),
        on_end=lambda rollout, ids: on_host.update({rollout: (ids, len(steps))}),
    )
    assert on_host == {1: ([4], 1), 2: ([2, 3, 4], 3), 3: ([3, 4], 3), 0: ([1, 2, 3, 4], 4)}


# ---------------------------------------------------------------- prompts that are shared

A, B, C = [1, 2, 0], [2, 1], [3]  # 2, 1 and 0 tokens before the last one


@pytest.mark.parametrize(
    ("prompts", "rows", "read"),
    [
        ([A] * 4, 9, 2),  # once for all of them
        ([A] * 4, 1, 2),  # it lies there still
        ([A] * 3 + [B] * 3 + [C], 9, 3),
        ([A] * 3 + [B] * 3 + [C], 1, 3),
        ([A, B, A, B], 9, 3),
        ([A, B, A, B], 1, 6),  # one seat: each pushes the other out
        ([A, B, A, B], 2, 3),  # each finds the seat where its prompt lies
        ([A, B, B, A], 2, 3),
        ([C] * 5, 2, 0),  # nothing comes before the last token
        ([[0], [1], [2], [3]], 2, 0),
        ([[1, 0], [2, 0], [3, 0], [1, 1]], 4, 4),  # all different
        ([[1, 0], [1, 1]], 2, 2),  # the last token alone differs
    ],
)
@pytest.mark.parametrize("gate", [None, ConstantGate(0.5)], ids=["on-policy", "mixed"])
def test_a_prompt_is_read_once_while_a_slot_holds_it(prompts, rows, read, gate, counting, keys, sample):
    # every response is one token long, so all seats are refilled at once
    models, n = counting([4]), len(prompts)
    samples = sample(Coin(rows=rows), models, prompts, keys(n), SamplingParams(max_new_tokens=1), gate)
    assert samples.stats.prefill_tokens == read * (1 if gate is None else 2)
    assert samples.ids.tolist() == [[prompt[-1] + 1] for prompt in prompts]


def test_a_prompt_is_copied_from_a_row_that_is_still_being_decoded(pair, keys, sample):
    prompt, other = (pair.tokenizer(text)["input_ids"] for text in TEXTS[:2])
    # the second row ends at once; its seat goes to a rollout whose prompt lies in the first one's
    prompts, limits, key = [prompt, other, prompt], [9, 1, 9], keys(3)
    endless = with_stops(pair, [-1])
    samples = sample(Coin(rows=2), endless, prompts, key, SAMPLING, limits=limits)
    assert samples.stats.prefill_tokens == len(prompt) + len(other) - 2
    alone = sample(Coin(), endless, prompts[2:], key[2:], SAMPLING, limits=limits[2:])
    assert torch.equal(samples.ids[2], alone.ids[0])


def test_an_expert_that_is_never_asked_reads_no_prompt(counting, keys, sample):
    models = counting([4])
    models.expert.forward = None
    unguided = Coin(FixedK(3), rows=2), models, [A, A, B], keys(3), SamplingParams(max_new_tokens=4), ConstantGate(0.0)
    assert sample(*unguided).stats.prefill_tokens == 2 + 1


def test_an_expert_reads_the_prompts_of_the_rows_it_is_asked_about_and_of_those_that_follow(scripted, keys, sample):
    # a prompt of two tokens is answered END; one of three 2 or 3, which is guided, and then END
    models = scripted([0, END, (2, 3), END], [0, END, (2, 3), END])
    prompts = [[5, 0], [6, 5, 0], [5, 0]]
    samples = sample(Coin(FixedK(2), rows=1), models, prompts, keys(3), SAMPLING, Uncertain())
    assert samples.guided.any(1).tolist() == [False, True, False]
    assert samples.stats.prefill_tokens == 1 + 2 * 2 + 2 * 1


def test_an_expert_that_is_first_asked_after_rows_have_been_refilled_changes_no_rollout(
    pair, prompts, keys, gate_of, sample, equal_samples
):
    options = pair, prompts, keys(len(prompts)), SAMPLING, gate_of(4 * LOOSE)
    early, late = sample(Naive(), *options), sample(Coin(FixedK(16), rows=3), *options)
    equal_samples(early, late)
    assert early.replaced.any()


# ---------------------------------------------------------------- numbers of half the length


@pytest.mark.parametrize("sampler", [Coin(FixedK(3), rows=5), Algorithm1(4, rows=5)], ids=["coin", "algorithm1"])
@pytest.mark.parametrize("mixed", [False, True], ids=["on-policy", "mixed"])
@pytest.mark.parametrize("halved", ["autocast", "weights"])
def test_in_bfloat16_training_reproduces_what_was_sampled_within_rounding(
    halved, mixed, sampler, pair, prompts, keys, gate_of, sample
):
    models = pair
    if halved == "weights":
        models = replace(pair, policy=deepcopy(pair.policy).bfloat16(), expert=deepcopy(pair.expert).bfloat16())
    with torch.autocast("cpu", torch.bfloat16, enabled=halved == "autocast"), torch.no_grad():
        samples = sample(sampler, models, prompts, keys(len(prompts)), SAMPLING, gate_of(LOOSE) if mixed else None)
        longest = max(map(len, prompts))
        logprobs, entropies = token_logprobs(
            models.policy,
            torch.tensor([prompt + [0] * (longest - len(prompt)) for prompt in prompts]),
            torch.tensor([len(prompt) for prompt in prompts]),
            samples.ids,
            samples.lengths,
            vocab_size=models.vocabulary.size,
        )
    assert samples.guided.any() == mixed
    for ours, theirs in ((samples.logprobs, logprobs), (samples.entropies, entropies)):
        assert ours.dtype == theirs.dtype == torch.float32
        assert torch.isfinite(ours).all()
        gap = float((ours - theirs).abs().max())
        assert gap < 0.1, f"a gap of {gap}"  # logits of up to 10 are 0.03 apart


# ---------------------------------------------------------------- what does not fit


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


def test_the_slowest_row_counts_only_once_nobody_waits(lookup_models, keys, sample):
    seen = []

    class Noting(LookaheadSchedule):
        look_ahead = 1

        def due(self, state):
            seen.append(state.slowest())
            return True

    generator = torch.Generator().manual_seed(1)
    models = lookup_models(*(torch.randn(4, 5, 5, generator=generator) for _ in range(2)), stop_ids=[-1])
    sample(Coin(Noting(), rows=2), models, [[0]] * 4, keys(4), SamplingParams(max_new_tokens=5), ConstantGate(1.0))
    # two rows at a time, five steps each: two rollouts wait during the first five
    assert [slowest > 0 for slowest in seen] == [False] * 5 + [True] * 5
