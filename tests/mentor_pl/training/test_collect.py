"""One step's rollouts: which rows there are, what γ_p is read from, and that a reward keeps its word."""

import math
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from mentor_pl.algorithms.base import Group
from mentor_pl.algorithms.parts.gates import ConstantGate, EntropyGate
from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.noise import rollout_keys
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Samples, decode_text, response_values
from mentor_pl.rewards.base import Grades
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.collect import collect
from mentor_pl.types import Prompt


@dataclass
class Learner:
    models: Any
    alpha: float = 1.0
    gate: Any = field(default_factory=lambda: EntropyGate(p=0.5))
    mini_batches: int = 1
    has_expert: bool = True

    @property
    def tokenizer(self):
        return self.models.tokenizer

    @property
    def vocabulary(self):
        return self.models.vocabulary


@dataclass
class WordReward:
    """Total: the number of words over 10; part `words`: the number."""

    range: tuple[float, float] = (0.0, 1.0)
    seen: list = field(default_factory=list)

    def __call__(self, prompts, responses):
        self.seen.append((list(prompts), list(responses)))
        words = [float(len(response.split())) for response in responses]
        return Grades([count / 10 for count in words], {"words": words})


@dataclass
class ScriptedSampler:
    """Answers row i of its k-th call with lengths[k][i] tokens of entropy entropies[k], and notes what it was asked."""

    lengths: list
    entropies: tuple = (1.0, 100.0)
    calls: list = field(default_factory=list)

    def __call__(self, models, prompts, keys, sampling, gate=None, *, limits=None, on_end=None):
        call = len(self.calls)
        self.calls.append(
            (list(prompts), keys, gate, models.policy.training, torch.is_grad_enabled(), gate and gate.gamma)
        )
        lengths = torch.tensor(self.lengths[call])
        n, longest = len(lengths), int(lengths.max())
        assert n == len(prompts) == len(keys)
        mask = torch.arange(longest) < lengths[:, None]
        for row in torch.randperm(n, generator=torch.Generator().manual_seed(0)).tolist():  # they end in any order
            if on_end is not None:
                on_end(row, [call + 1] * int(lengths[row]))
        return Samples(
            ids=mask.long() * (call + 1),
            lengths=lengths,
            logprobs=-mask.float(),
            entropies=torch.where(mask, self.entropies[call], 77.0),  # 77 beyond the end: nobody may read it
            gate_weights=torch.full((n, longest), 0.5 * call),
            guided=mask & bool(call),
            replaced=mask & bool(call),
            truncated=torch.zeros(n, dtype=torch.bool),
            stats=DecodeStats(tokens=int(lengths.sum()), rolled_back=5 + call, seconds={"drafting": 0.25}),
        )


@pytest.fixture
def models(lookup_models):
    generator = torch.Generator().manual_seed(0)
    return lookup_models(*(torch.randn(4, 6, 6, generator=generator) for _ in range(2)))


PROMPTS = [Prompt(8, "eight", "8", (1, 2)), Prompt(3, "three", "3", (4,))]


def gather(learner, sampler, group=None, prompts=PROMPTS, reward=None, **options):
    options = {"seed": 5, "step": 2, "policy_updates": 9, **options}
    group, reward = group or Group(2, 1), reward or WordReward()
    return collect(learner, prompts, group, sampler, SamplingParams(max_new_tokens=4), reward, **options)


def test_rows_are_ordered_by_prompt_and_a_groups_on_policy_rows_come_first(models):
    reward = WordReward()
    # on-policy lengths 1, 2 for the first prompt and 3, 4 for the second; mixed ones 5 and 6
    rollouts = gather(Learner(models), ScriptedSampler([[1, 2, 3, 4], [5, 6]]), reward=reward)
    assert rollouts.response_lengths.tolist() == [1, 2, 5, 3, 4, 6]
    assert rollouts.mixed.tolist() == [False, False, True] * 2
    assert rollouts.group_size == 3
    assert rollouts.prompt_ids.tolist() == [[1, 2]] * 3 + [[4, 0]] * 3
    assert rollouts.prompt_lengths.tolist() == [2, 2, 2, 1, 1, 1]
    assert rollouts.response_ids[2].tolist() == [2, 2, 2, 2, 2, 0]  # the second call answers with 2
    assert rollouts.texts == ("t1", "t1 t1", "t2 " * 4 + "t2", "t1 t1 t1", "t1 t1 t1 t1", "t2 " * 5 + "t2")
    ((graded_prompts, graded_texts),) = reward.seen
    assert [prompt.index for prompt in graded_prompts] == [8, 8, 8, 3, 3, 3]
    assert tuple(graded_texts) == rollouts.texts
    assert rollouts.rewards.tolist() == pytest.approx([0.1, 0.2, 0.5, 0.3, 0.4, 0.6])
    assert rollouts.reward_parts["words"].tolist() == [1, 2, 5, 3, 4, 6]


def test_every_column_is_carried_to_its_row(models):
    rollouts = gather(Learner(models), ScriptedSampler([[1, 2, 3, 4], [5, 6]]))
    assert rollouts.guided.sum(1).tolist() == rollouts.replaced.sum(1).tolist() == [0, 0, 5, 0, 0, 6]
    assert rollouts.logprobs.sum(1).tolist() == [-1, -2, -5, -3, -4, -6]
    assert rollouts.entropies[2, :5].tolist() == [100.0] * 5
    assert rollouts.gate_weights[:, 0].tolist() == [0, 0, 0.5, 0, 0, 0.5]
    assert rollouts.mask.sum(1).tolist() == [1, 2, 5, 3, 4, 6]


def test_the_steps_own_numbers_are_kept(models):
    rollouts = gather(
        Learner(models, alpha=0.25), ScriptedSampler([[1] * 4, [1] * 2]), reward=WordReward(range=(-0.5, 1.0))
    )
    assert (rollouts.alpha, rollouts.step, rollouts.policy_updates, rollouts.temperature) == (0.25, 2, 9, 1.0)
    assert rollouts.reward_range == 1.5


def test_what_decoding_cost_is_kept_per_token_of_both_parts(models):
    rollouts = gather(Learner(models), ScriptedSampler([[1, 2, 3, 4], [5, 6]]))
    assert rollouts.decoding["rolled_back"] == 11 / 21  # 5 drafts of the on-policy rollouts, 6 of the mixed ones
    assert rollouts.decoding["expert_calls"] == 0
    assert rollouts.seconds["sampling/drafting"] == 0.5
    assert set(rollouts.seconds) == {"sampling", "grading", "sampling/drafting"}


def test_gamma_is_the_quantile_of_this_steps_on_policy_response_tokens_alone(models):
    class Rising(ScriptedSampler):
        def __call__(self, *arguments, **options):
            samples = super().__call__(*arguments, **options)
            if len(self.calls) == 1:
                # rows of 1, 2, 2, 1 tokens: entropies 1 · 2 3 · 4 5 · 6, and 77 on the padding
                samples.entropies[:] = torch.tensor([[1.0, 77.0], [2.0, 3.0], [4.0, 5.0], [6.0, 77.0]])
            return samples

    learner, sampler = Learner(models), Rising([[1, 2, 2, 1], [1, 1]])
    rollouts = gather(learner, sampler)
    assert rollouts.gamma == learner.gate.gamma == 3.5  # the median of 1 … 6; mixed rows have 100
    assert [call[2] for call in sampler.calls] == [None, learner.gate]
    assert sampler.calls[1][5] == 3.5  # known before a mixed token is sampled


def test_a_gate_that_lags_gives_the_gamma_of_the_step_before(models):
    learner = Learner(models, gate=EntropyGate(p=0.5, source="previous"))
    gammas = []
    for entropy in (1.0, 2.0, 4.0):
        sampler = ScriptedSampler([[1] * 4, [1] * 2], entropies=(entropy, 100.0))
        gammas.append(gather(learner, sampler).gamma)
    assert gammas == [999.0, 1.0, 2.0]


def test_alpha_zero_draws_no_mixed_rollouts_and_their_share_goes_to_the_policy(models):
    learner, sampler = Learner(models, alpha=0.0), ScriptedSampler([[1] * 6])
    rollouts = gather(learner, sampler)
    assert (len(rollouts), rollouts.group_size, len(sampler.calls)) == (6, 3, 1)
    assert not rollouts.mixed.any()
    assert rollouts.gamma == math.inf


def test_without_refill_the_group_shrinks(models):
    rollouts = gather(Learner(models, alpha=0.0), ScriptedSampler([[1] * 4]), Group(2, 1, refill=False))
    assert (len(rollouts), rollouts.group_size) == (4, 2)


@pytest.mark.parametrize(
    ("group", "alpha", "sizes"),
    [
        (Group(), 1.0, (4, 4)),
        (Group(), 1e-9, (4, 4)),
        (Group(), 0.0, (8, 0)),
        (Group(8, 4, refill=False), 1.0, (8, 4)),
        (Group(8, 4, refill=False), 0.0, (8, 0)),
        (Group(8, 0), 1.0, (8, 0)),
    ],
)
def test_group_sizes_follow_alpha(group, alpha, sizes):
    assert group.sizes(alpha) == sizes


def test_noise_is_keyed_by_seed_step_problem_and_place_in_the_group(models):
    sampler = ScriptedSampler([[1] * 4, [1] * 2])
    gather(Learner(models), sampler, seed=5, step=2)
    problems, places = torch.tensor([8, 8, 3, 3]), torch.tensor([0, 1, 0, 1])
    assert [call[0] for call in sampler.calls] == [[(1, 2), (1, 2), (4,), (4,)], [(1, 2), (4,)]]  # prompts 8 and 3
    assert torch.equal(sampler.calls[0][1], rollout_keys(5, 2, problems, places))
    assert torch.equal(sampler.calls[1][1], rollout_keys(5, 2, torch.tensor([8, 3]), torch.tensor([2, 2])))


def test_the_policy_samples_in_eval_mode_without_gradients_and_returns_to_training(models):
    models.policy.train()
    sampler = ScriptedSampler([[1] * 4, [1] * 2])
    gather(Learner(models), sampler)
    assert [call[3:5] for call in sampler.calls] == [(False, False)] * 2
    assert models.policy.training
    with pytest.raises(IndexError):  # a sampler that fails leaves the policy in training mode too
        gather(Learner(models), ScriptedSampler([[1] * 4]))
    assert models.policy.training


def tensors(rollouts):
    return {name: value for name, value in vars(rollouts).items() if isinstance(value, torch.Tensor)}


def same(one, other):
    for name, value in tensors(one).items():
        assert torch.equal(value, tensors(other)[name]), name


def test_a_group_without_mixed_rollouts_is_the_refilled_group_bit_for_bit(models):
    plain = gather(Learner(models, alpha=1.0), Naive(), Group(3, 0))
    refilled = gather(Learner(models, alpha=0.0), Naive(), Group(2, 1))
    same(plain, refilled)


def test_on_policy_rows_are_the_same_whatever_the_expert_does(models):
    guided = gather(Learner(models), Naive(), Group(2, 2))
    unguided = gather(Learner(models, gate=ConstantGate(0.0)), Naive(), Group(2, 2))
    alone = gather(Learner(models, alpha=0.0), Naive(), Group(4, 0))
    assert guided.replaced.any()
    same(unguided, gather(Learner(models, gate=ConstantGate(0.0)), Naive(rows=1), Group(2, 2)))
    assert torch.equal(unguided.response_ids, alone.response_ids)
    for row in torch.nonzero(~guided.mixed).flatten().tolist():
        length = int(alone.response_lengths[row])
        assert guided.response_ids[row, :length].tolist() == alone.response_ids[row, :length].tolist()


def test_a_prompts_rollouts_do_not_depend_on_the_prompts_beside_it(models):
    together = gather(Learner(models, gate=ConstantGate(0.5)), Naive())
    alone = gather(Learner(models, gate=ConstantGate(0.5)), Naive(), prompts=PROMPTS[1:])
    width = alone.response_ids.shape[1]
    assert torch.equal(together.response_ids[3:, :width], alone.response_ids)
    assert torch.equal(together.response_lengths[3:], alone.response_lengths)


def test_steps_and_seeds_draw_anew(models):
    draws = [
        gather(Learner(models, alpha=0.0), Naive(), Group(16, 0), seed=seed, step=step).response_ids[:, 0].tolist()
        for seed, step in ((5, 2), (5, 3), (6, 2), (5, 2))
    ]
    assert draws[0] == draws[3]
    assert draws[0] != draws[1]
    assert draws[0] != draws[2]


def test_texts_leave_out_the_stop_token(models):
    assert [decode_text(models, ids) for ids in ([1, 2, 5], [5])] == ["t1 t2", ""]  # 5 is <eos>


class Streaming(WordReward):
    """A reward that takes single responses, and notes them with the number of sampler calls that had returned."""

    def __init__(self, returned):
        super().__init__()
        self.returned, self.taken = returned, []

    def submit(self, prompt, response):
        self.taken.append((prompt.index, response, len(self.returned)))
        done = Future()
        done.set_result(self([prompt], [response]))
        return done


def test_responses_are_handed_over_while_others_are_decoded(models):
    returned, sampler = [], Naive()

    def noting(*arguments, **options):
        samples = sampler(*arguments, **options)
        returned.append(samples)
        return samples

    reward = Streaming(returned)
    rollouts = gather(Learner(models, gate=ConstantGate(0.5)), noting, reward=reward)
    owners = [8, 8, 8, 3, 3, 3]
    given = [
        (owner, text, int(mixed)) for owner, text, mixed in zip(owners, rollouts.texts, rollouts.mixed, strict=True)
    ]
    assert sorted(reward.taken) == sorted(given)  # each once, the on-policy ones before the first call had returned
    plain = gather(Learner(models, gate=ConstantGate(0.5)), Naive())
    assert plain.texts == rollouts.texts
    assert torch.equal(plain.rewards, rollouts.rewards)
    assert torch.equal(plain.reward_parts["words"], rollouts.reward_parts["words"])


def test_response_values_are_those_before_the_end_in_row_order():
    values = torch.tensor([[1.0, 2.0, 9.0], [3.0, 9.0, 9.0], [4.0, 5.0, 6.0]])
    assert response_values(values, torch.tensor([2, 1, 3])).tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("total", [1.5, -0.1, math.nan])
def test_a_reward_outside_its_range_is_a_usage_error_that_names_it(total, models):
    class Wrong(WordReward):
        def __call__(self, prompts, responses):
            return Grades([0.5] * (len(responses) - 1) + [total])

    with pytest.raises(UsageError, match=rf"reward Wrong gave {total} to problem 3, outside its declared range \(0"):
        gather(Learner(models), ScriptedSampler([[1] * 4, [1] * 2]), reward=Wrong())


def test_the_ends_of_a_rewards_range_are_inside_it(models):
    class Ends(WordReward):
        def __call__(self, prompts, responses):
            return Grades([0.0, 1.0] * 3)

    assert gather(Learner(models), ScriptedSampler([[1] * 4, [1] * 2]), reward=Ends()).rewards.tolist() == [0, 1] * 3


@pytest.mark.parametrize("count", [1, 0, -1])
def test_fewer_than_two_on_policy_rollouts_is_a_usage_error(count):
    with pytest.raises(UsageError, match=f"on_policy is {count}"):
        Group(on_policy=count)


def test_a_negative_number_of_mixed_rollouts_is_a_usage_error():
    with pytest.raises(UsageError, match="mixed is -1"):
        Group(mixed=-1)
