"""One step's rollouts: rows in their order, what γ_p is read from, and that a reward keeps its word."""

import math
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch

from mentor_pl.algorithms.base import Need
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.gates import ConstantGate, EntropyGate
from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.noise import rollout_keys
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Samples, as_response, response_values
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.collect import collect
from mentor_pl.types import Origin, Prompt, Row


@dataclass
class Learner:
    models: Any
    alpha: float = 1.0
    algorithm: Any = field(default_factory=lambda: Mentor(2, 1, gate=EntropyGate(p=0.5)))
    mini_batches: int = 1
    micro_batch_tokens: int = 1000

    @property
    def tokenizer(self):
        return self.models.tokenizer

    @property
    def vocabulary(self):
        return self.models.vocabulary


@dataclass
class WordReward(Reward):
    """Total: the number of words over 10; part `words`: the number."""

    range: tuple[float, float] = (0.0, 1.0)
    seen: list = field(default_factory=list)

    def grade(self, prompt, response):
        self.seen.append((prompt.index, response))
        words = float(len(response.text.split()))
        return Grade(words / 10, {"words": words})


@dataclass
class ScriptedSampler:
    """Answers row i of its k-th call with lengths[k][i] tokens of entropy entropies[k], and notes what it was asked."""

    lengths: list
    entropies: tuple = (1.0, 100.0)
    calls: list = field(default_factory=list)

    def __call__(self, models, prompts, keys, sampling, blend=None, *, limits=None, on_end=None):
        call = len(self.calls)
        self.calls.append(
            (list(prompts), keys, blend, models.policy.training, torch.is_grad_enabled(), blend and blend.gamma)
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


POLICY, MIXTURE = Origin.POLICY, Origin.MIXTURE
PROMPTS = [Prompt(8, "eight", "8", (1, 2)), Prompt(3, "three", "3", (4,))]


def never(count):
    raise AssertionError("no further problems are asked for")


def gather(learner, sampler, prompts=PROMPTS, reward=None, draw=never, **options):
    options = {"seed": 5, "step": 2, "policy_updates": 9, **options}
    reward = reward or WordReward()
    return collect(learner, prompts, draw, sampler, SamplingParams(max_new_tokens=4), reward, **options)


def guided_by(weight, on_policy=2, mixed=1):
    return Mentor(on_policy, mixed, gate=ConstantGate(weight))


def test_rows_are_ordered_by_prompt_and_a_groups_on_policy_rows_come_first(models):
    reward = WordReward()
    # on-policy lengths 1, 2 for the first prompt and 3, 4 for the second; mixed ones 5 and 6
    rollouts = gather(Learner(models), ScriptedSampler([[1, 2, 3, 4], [5, 6]]), reward=reward)
    assert rollouts.response_lengths.tolist() == [1, 2, 5, 3, 4, 6]
    assert rollouts.origin.tolist() == [POLICY, POLICY, MIXTURE] * 2
    assert rollouts.group.tolist() == [0, 0, 0, 1, 1, 1]
    assert not rollouts.given.any()
    assert torch.equal(rollouts.train_mask, rollouts.mask)
    assert rollouts.prompt_ids.tolist() == [[1, 2]] * 3 + [[4, 0]] * 3
    assert rollouts.prompt_lengths.tolist() == [2, 2, 2, 1, 1, 1]
    assert rollouts.response_ids[2].tolist() == [2, 2, 2, 2, 2, 0]  # the second call answers with 2
    assert rollouts.texts == ("t1", "t1 t1", "t2 " * 4 + "t2", "t1 t1 t1", "t1 t1 t1 t1", "t2 " * 5 + "t2")
    given = sorted((index, response.text, len(response.tokens), response.truncated) for index, response in reward.seen)
    rows = zip([8, 8, 8, 3, 3, 3], rollouts.texts, rollouts.response_lengths.tolist(), [True] * 6, strict=True)
    assert given == sorted(rows)
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
    assert rollouts.gamma == learner.algorithm.gate.gamma == 3.5  # the median of 1 … 6; mixed rows have 100
    assert [call[2] for call in sampler.calls] == [None, learner.algorithm.blend]
    assert sampler.calls[1][5] == 3.5  # known before a mixed token is sampled


def test_a_gate_that_lags_gives_the_gamma_of_the_step_before(models):
    learner = Learner(models, algorithm=Mentor(2, 1, gate=EntropyGate(p=0.5, source="previous")))
    gammas = []
    for entropy in (1.0, 2.0, 4.0):
        sampler = ScriptedSampler([[1] * 4, [1] * 2], entropies=(entropy, 100.0))
        gammas.append(gather(learner, sampler).gamma)
    assert gammas == [999.0, 1.0, 2.0]


def test_alpha_zero_draws_no_mixed_rollouts_and_their_share_goes_to_the_policy(models):
    learner, sampler = Learner(models, alpha=0.0), ScriptedSampler([[1] * 6])
    rollouts = gather(learner, sampler)
    assert (rollouts.group.tolist(), len(sampler.calls)) == ([0, 0, 0, 1, 1, 1], 1)
    assert not rollouts.origin.any()
    assert rollouts.gamma == math.inf


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
    plain = gather(Learner(models, algorithm=GRPO(3)), Naive())
    refilled = gather(Learner(models, alpha=0.0), Naive())
    same(plain, refilled)


def test_on_policy_rows_are_the_same_whatever_the_expert_does(models):
    guided = gather(Learner(models, algorithm=Mentor(2, 2, gate=EntropyGate(p=0.5))), Naive())
    unguided = gather(Learner(models, algorithm=guided_by(0.0, 2, 2)), Naive())
    alone = gather(Learner(models, algorithm=GRPO(4)), Naive())
    assert guided.replaced.any()
    same(unguided, gather(Learner(models, algorithm=guided_by(0.0, 2, 2)), Naive(rows=1)))
    assert torch.equal(unguided.response_ids, alone.response_ids)
    for row in torch.nonzero(guided.origin == POLICY).flatten().tolist():
        length = int(alone.response_lengths[row])
        assert guided.response_ids[row, :length].tolist() == alone.response_ids[row, :length].tolist()


def test_a_prompts_rollouts_do_not_depend_on_the_prompts_beside_it(models):
    together = gather(Learner(models, algorithm=guided_by(0.5)), Naive())
    alone = gather(Learner(models, algorithm=guided_by(0.5)), Naive(), prompts=PROMPTS[1:])
    width = alone.response_ids.shape[1]
    assert torch.equal(together.response_ids[3:, :width], alone.response_ids)
    assert torch.equal(together.response_lengths[3:], alone.response_lengths)


def test_steps_and_seeds_draw_anew(models):
    draws = [
        gather(Learner(models, algorithm=GRPO(16)), Naive(), seed=seed, step=step).response_ids[:, 0].tolist()
        for seed, step in ((5, 2), (5, 3), (6, 2), (5, 2))
    ]
    assert draws[0] == draws[3]
    assert draws[0] != draws[1]
    assert draws[0] != draws[2]


def test_texts_leave_out_the_stop_token(models):
    assert [as_response(models, ids).text for ids in ([1, 2, 5], [5])] == ["t1 t2", ""]  # 5 is <eos>


class Streaming(WordReward):
    """Notes each response with the number of sampler calls that had returned; its grades come later."""

    def __init__(self, returned):
        super().__init__()
        self.returned, self.taken = returned, []

    def grade(self, prompt, response):
        self.taken.append((prompt.index, response.text, len(self.returned)))
        done = Future()
        done.set_result(super().grade(prompt, response))
        return done


def test_responses_are_handed_over_while_others_are_decoded(models):
    returned, sampler = [], Naive()

    def noting(*arguments, **options):
        samples = sampler(*arguments, **options)
        returned.append(samples)
        return samples

    reward = Streaming(returned)
    rollouts = gather(Learner(models, algorithm=guided_by(0.5)), noting, reward=reward)
    owners = [8, 8, 8, 3, 3, 3]
    given = [
        (owner, text, int(origin)) for owner, text, origin in zip(owners, rollouts.texts, rollouts.origin, strict=True)
    ]
    assert sorted(reward.taken) == sorted(given)  # each once, the on-policy ones before the first call had returned
    plain = gather(Learner(models, algorithm=guided_by(0.5)), Naive())
    assert plain.texts == rollouts.texts
    assert torch.equal(plain.rewards, rollouts.rewards)
    assert torch.equal(plain.reward_parts["words"], rollouts.reward_parts["words"])


def test_response_values_are_those_before_the_end_in_row_order():
    values = torch.tensor([[1.0, 2.0, 9.0], [3.0, 9.0, 9.0], [4.0, 5.0, 6.0]])
    assert response_values(values, torch.tensor([2, 1, 3])).tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("total", [1.5, -0.1, math.nan])
def test_a_reward_outside_its_range_is_a_usage_error_that_names_it(total, models):
    class Wrong(WordReward):
        def grade(self, prompt, response):
            return Grade(total if prompt.index == 3 else 0.5)

    with pytest.raises(UsageError, match=rf"reward Wrong gave {total} to problem 3, outside its declared range \(0"):
        gather(Learner(models), ScriptedSampler([[1] * 4, [1] * 2]), reward=Wrong())


def test_the_ends_of_a_rewards_range_are_inside_it(models):
    class Ends(WordReward):
        def grade(self, prompt, response):
            return Grade(float(prompt.index == 3))

    rollouts = gather(Learner(models), ScriptedSampler([[1] * 4, [1] * 2]), reward=Ends())
    assert rollouts.rewards.tolist() == [0] * 3 + [1] * 3


class Rounds(GRPO):
    """Rounds from lists of rows; keeps what it is told of each."""

    def __init__(self, *rounds):
        super().__init__()
        self.asked, self.told = rounds, []

    def rounds(self, prompts, alpha, draw):
        for rows in self.asked:
            self.told.append((yield list(rows)))


def row(prompt, number, **options):
    return Row(prompt, prompt.token_ids, number, **options)


EIGHT, THREE = PROMPTS


def test_an_algorithm_is_told_what_became_of_each_round(models):
    algorithm = Rounds([row(EIGHT, 0), row(THREE, 0)], [row(EIGHT, 1)])
    gather(Learner(models, algorithm=algorithm), ScriptedSampler([[2, 5], [3]]))
    first, second = algorithm.told
    assert [(one.prompt.index, one.number) for one in first.rows] == [(8, 0), (3, 0)]
    assert first.lengths.tolist() == [2, 5]
    assert first.rewards.tolist() == pytest.approx([0.2, 0.5])
    assert first.entropies.tolist() == [1.0] * 7
    assert second.rewards.tolist() == pytest.approx([0.3])


def test_rows_come_out_by_problem_and_number_whatever_round_asked_for_them(models):
    algorithm = Rounds([row(THREE, 2), row(EIGHT, 1)], [row(EIGHT, 0), row(THREE, 0)])
    rollouts = gather(Learner(models, algorithm=algorithm), ScriptedSampler([[1, 2], [3, 4]]))
    assert rollouts.response_lengths.tolist() == [4, 1, 3, 2]  # problem 3 was asked for first
    assert rollouts.group.tolist() == [0, 0, 1, 1]
    assert rollouts.rewards.tolist() == pytest.approx([0.4, 0.1, 0.3, 0.2])


def test_a_rank_that_is_done_takes_part_until_all_are(models, monkeypatch):
    """As if another rank had one round more; what that rank's rollouts are, it alone knows."""
    counts = []

    def all_max(value):
        counts.append(int(value))
        return value if len(counts) != 2 else value + 1

    monkeypatch.setattr("mentor_pl.training.collect.all_max", all_max)
    sampler = ScriptedSampler([[1, 2]])
    rollouts = gather(Learner(models, algorithm=Rounds([row(EIGHT, 0), row(THREE, 0)])), sampler)
    assert counts == [2, 0, 0]
    assert len(rollouts) == 2
    assert len(sampler.calls) == 1


def test_given_rows_are_taken_as_they_are_and_graded_and_scored(build_models, qwen2_folder):
    """A complete row and a prefix that the policy goes on from: log π is that of a plain forward over all tokens."""
    models = build_models(qwen2_folder)
    prompt = Prompt(0, "p", "a", (3, 4, 5))
    stop = models.vocabulary.stop_ids[0]
    algorithm = Rounds(
        [
            row(prompt, 0, origin=Origin.DEMONSTRATION, given=(6, 7, stop), complete=True),
            row(prompt, 1, given=(8, 9)),
            row(prompt, 2),
        ]
    )
    reward = WordReward()
    rollouts = gather(Learner(models, algorithm=algorithm), Naive(), prompts=[prompt], reward=reward)
    assert rollouts.response_ids[0, :3].tolist() == [6, 7, stop]
    assert rollouts.response_ids[1, :2].tolist() == [8, 9]
    assert rollouts.response_lengths[0] == 3
    assert 2 < rollouts.response_lengths[1] <= 4  # at most max_new_tokens = 4, the prefix included
    assert rollouts.given.sum(1).tolist() == [3, 2, 0]
    assert not rollouts.truncated[0]
    assert len(reward.seen) == 3
    assert algorithm.told[0].entropies.numel() == int(rollouts.response_lengths.sum()) - 3 - 2  # only what was sampled
    for i in range(3):
        length = int(rollouts.response_lengths[i])
        ids = torch.cat([torch.tensor(prompt.token_ids), rollouts.response_ids[i, :length]])
        with torch.no_grad():
            logits = models.policy(ids[None]).logits[0, 2:-1, : models.vocabulary.size]
        logp = logits.log_softmax(-1)
        expected = logp.gather(1, ids[3:, None]).squeeze(1)
        assert torch.allclose(rollouts.logprobs[i, :length], expected, atol=1e-5)
        assert torch.allclose(rollouts.entropies[i, :length], -(logp.exp() * logp).sum(-1), atol=1e-5)


class Scored(GRPO):
    needs = frozenset(Need)


def test_expert_and_reference_are_scored_where_the_algorithm_needs_them(
    build_models, qwen2_folder, qwen2_expert_folder
):
    models = build_models(qwen2_folder, qwen2_expert_folder)
    models = replace(models, reference=models.policy)
    prompts = [Prompt(0, "p", "a", (3, 4, 5)), Prompt(1, "q", "b", (6,))]
    plain = gather(Learner(models, algorithm=GRPO(2)), Naive(), prompts=prompts)
    assert plain.expert_logprobs is None
    assert plain.reference_logprobs is None
    rollouts = gather(Learner(models, algorithm=Scored(2), micro_batch_tokens=9), Naive(), prompts=prompts)
    assert torch.allclose(rollouts.reference_logprobs, rollouts.logprobs, atol=1e-5)
    for i, prompt in enumerate([prompts[0], prompts[0], prompts[1], prompts[1]]):
        length = int(rollouts.response_lengths[i])
        ids = torch.cat([torch.tensor(prompt.token_ids), rollouts.response_ids[i, :length]])
        with torch.no_grad():
            logits = models.expert(ids[None]).logits[0, len(prompt.token_ids) - 1 : -1, : models.vocabulary.size]
        expected = logits.log_softmax(-1).gather(1, ids[len(prompt.token_ids) :, None]).squeeze(1)
        assert torch.allclose(rollouts.expert_logprobs[i, :length], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("rounds", "message"),
    [
        ([], "algorithm Rounds asked for no rollouts"),
        ([[row(EIGHT, 1), row(EIGHT, 1)]], "asked twice for rollout 1 of problem 8"),
        ([[row(EIGHT, 1)], [row(EIGHT, 1)]], "asked twice for rollout 1 of problem 8"),
        ([[row(EIGHT, 0, origin=MIXTURE)]], "asked for a mixture rollout, but has no blend"),
    ],
)
def test_rounds_that_cannot_be_are_refused_in_one_line(models, rounds, message):
    with pytest.raises(UsageError, match=message):
        gather(Learner(models, algorithm=Rounds(*rounds)), ScriptedSampler([[1] * len(rows) for rows in rounds]))
