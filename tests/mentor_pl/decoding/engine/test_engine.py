"""Continuous batching: which rows share a forward, and when the host syncs, changes no rollout."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from engine_cases import LOOSE, MODES, SAMPLING, ran

from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.algorithms.parts.gates import ConstantGate
from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.cuda_graphs import bucket
from mentor_pl.decoding.engine.engine import STRIDE, Engine
from mentor_pl.decoding.engine.lookahead import FixedK, LookaheadSchedule
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models import packed_weights
from mentor_pl.models.logprobs import token_logprobs

END = 7  # of the scripted models


# ---------------------------------------------------------------- refilling


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_refilling_rows_changes_no_rollout(rows, pair, prompts, keys, mode, whole, sample, equal_samples):
    sampler, gate = mode
    samples = sample(sampler(rows=rows), pair, prompts, keys(len(prompts)), SAMPLING, gate)
    equal_samples(whole, samples)
    assert samples.stats.policy_tokens <= rows * samples.stats.policy_forwards


@pytest.mark.skipif(not packed_weights._has_onednn(), reason="packs weights on x86 CPUs alone")
def test_packed_weights_change_no_rollout(pair, prompts, keys, mode, whole, sample, equal_samples, monkeypatch):
    sampler, gate = mode
    seen = set()
    product = packed_weights._product
    monkeypatch.setattr(
        packed_weights, "_product", lambda weight, *rest: seen.add(weight.shape) or product(weight, *rest)
    )
    monkeypatch.setattr(packed_weights, "LEAST_ELEMENTS", 0)
    equal_samples(whole, sample(sampler(), pair, prompts, keys(len(prompts)), SAMPLING, gate))
    layers = [layer for model in (pair.policy, *[pair.expert] * bool(gate)) for layer in model.modules()]
    assert seen == {layer.weight.shape for layer in layers if type(layer) is torch.nn.Linear}


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


# ---------------------------------------------------------------- both kinds in one call


@pytest.mark.parametrize("mode", [MODES[name] for name in ("coin", "algorithm1", "naive")], indirect=True)
@pytest.mark.parametrize("rows", [3, 8])
def test_policy_rows_beside_mixture_rows_are_those_of_calls_of_their_own(
    rows, pair, prompts, keys, mode, whole, sample
):
    sampler, gate = mode
    key, mixed = keys(len(prompts)), [i % 3 != 1 for i in range(len(prompts))]
    alone = sample(sampler(), pair, prompts, key, SAMPLING)
    both = sample(sampler(rows=rows), pair, prompts, key, SAMPLING, gate, mixed=mixed)
    assert not torch.equal(alone.ids, whole.ids)
    for row, is_mixed in enumerate(mixed):
        expected = whole if is_mixed else alone
        n = int(both.lengths[row])
        assert n == int(expected.lengths[row])
        for name in ("ids", "guided", "replaced", "drafts"):
            assert torch.equal(getattr(both, name)[row, :n], getattr(expected, name)[row, :n]), name
        for name in ("logprobs", "entropies", "gate_weights"):
            assert torch.allclose(getattr(both, name)[row, :n], getattr(expected, name)[row, :n], atol=1e-4), name
    asked = both.stats.scored_positions
    assert asked <= whole.stats.scored_positions


# ---------------------------------------------------------------- shapes and syncs of a GPU, on the CPU


@pytest.fixture
def engine(pair, prompts, keys, mode):
    """An engine with 5 rows, to be run by `ran`."""
    sampler, gate = mode
    guidance = gate and sampler().guidance(GatedMixture(gate))
    key = keys(len(prompts))
    return Engine(pair, prompts, key, SAMPLING, guidance, rows=5, cache_tokens=2**20)


def test_a_step_over_more_rows_and_places_than_needed_changes_no_rollout(engine, whole, equal_samples):
    length, step = engine.pages.length, engine.drafts.step
    engine.step = lambda rows, width: step(min(rows + 2, 5), min(bucket(width, 8), length))
    equal_samples(whole, ran(engine))


def test_a_step_over_all_slots_and_all_places_changes_no_rollout(engine, whole, equal_samples):
    slots, length, step = 5, engine.pages.length, engine.drafts.step
    engine.step = lambda rows, width: step(slots, length)
    equal_samples(whole, ran(engine))


def test_several_steps_between_two_syncs_change_no_rollout(engine, whole, equal_samples):
    syncs, sync = [], engine.drafts.sync
    engine.on_gpu = True

    def counted(table):
        syncs.append(1)
        sync(table)

    engine.drafts.sync = counted
    samples = ran(engine)
    equal_samples(whole, samples)
    stride = STRIDE if engine.guidance is None else engine.guidance.schedule.stride
    assert len(syncs) * stride == samples.stats.policy_forwards


def test_a_row_that_has_ended_between_two_syncs_asks_for_no_expert(scripted, keys, uncertain):
    # the row ends at its second token; what it is fed further on would be uncertain, and so be guided
    models, sampling = (
        scripted([1, END, (2, 3), (2, 3), 1], [1, END, (2, 3), (2, 3), 1]),
        SamplingParams(max_new_tokens=9),
    )
    guidance = Coin(FixedK(4)).guidance(GatedMixture(uncertain))
    engine = Engine(models, [[0]], keys(1), sampling, guidance, rows=1, cache_tokens=99)
    engine.on_gpu = True
    samples = ran(engine)
    assert samples.ids.tolist() == [[1, END]]
    assert not samples.guided.any()
    assert (samples.stats.policy_forwards, samples.stats.idle, samples.stats.expert_calls) == (4, 2, 0)


def test_a_schedule_whose_look_ahead_is_no_multiple_of_its_stride_is_never_outrun(
    pair, prompts, keys, gate_of, sample, equal_samples
):
    class Uneven(FixedK):
        """Calls the expert only when it must; syncs every 3 of 7 steps."""

        def __init__(self):
            super().__init__(7)
            self.stride = 3

        def due(self, state):
            assert state.age <= 7
            return False

    gate, key = gate_of(4 * LOOSE), keys(len(prompts))
    whole = sample(Naive(), pair, prompts, key, SAMPLING, gate)
    guidance = Coin(Uneven()).guidance(GatedMixture(gate))
    engine = Engine(pair, prompts, key, SAMPLING, guidance, rows=5, cache_tokens=2**20)
    engine.on_gpu = True
    equal_samples(whole, ran(engine))


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
        )[:2]
    assert samples.guided.any() == mixed
    for ours, theirs in ((samples.logprobs, logprobs), (samples.entropies, entropies)):
        assert ours.dtype == theirs.dtype == torch.float32
        assert torch.isfinite(ours).all()
        gap = float((ours - theirs).abs().max())
        assert gap < 0.1, f"a gap of {gap}"  # logits of up to 10 are 0.03 apart
