"""What a round asks of the sampler and hands to the grader, and what the algorithm is told of it."""

from concurrent.futures import Future

import pytest
import torch
from collecting import EIGHT, THREE, GivenRounds, Learner, ScriptedSampler, WordReward, gather, guided_by, row

from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.gates import ConstantGate
from mentor_pl.algorithms.parts.random_gate import RandomGate
from mentor_pl.decoding.naive import Naive
from mentor_pl.runtime.noise import rollout_keys
from mentor_pl.training.assemble import joined_rollouts
from mentor_pl.types import Origin, Prompt


def test_noise_is_keyed_by_seed_step_problem_and_place_in_the_group(models):
    sampler = ScriptedSampler([[1] * 4, [1] * 2])
    gather(Learner(models), sampler, seed=5, step=2)
    problems, places = torch.tensor([8, 8, 3, 3]), torch.tensor([0, 1, 0, 1])
    assert [call[0] for call in sampler.calls] == [[(1, 2), (1, 2), (4,), (4,)], [(1, 2), (4,)]]  # prompts 8 and 3
    assert torch.equal(sampler.calls[0][1], rollout_keys(5, 2, problems, places))
    assert torch.equal(sampler.calls[1][1], rollout_keys(5, 2, torch.tensor([8, 3]), torch.tensor([2, 2])))


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


def in_two_rounds():
    """MENTOR with a gate that observes policy rollouts before it guides."""
    return Mentor(2, 1, gate=RandomGate(ConstantGate(0.5)))


def test_responses_are_handed_over_while_others_are_decoded(models):
    returned, sampler = [], Naive()

    def noting(*arguments, **options):
        samples = sampler(*arguments, **options)
        returned.append(samples)
        return samples

    reward = Streaming(returned)
    rollouts = gather(Learner(models, algorithm=in_two_rounds()), noting, reward=reward)
    owners = [8, 8, 8, 3, 3, 3]
    given = [
        (owner, text, int(origin)) for owner, text, origin in zip(owners, rollouts.texts, rollouts.origin, strict=True)
    ]
    assert sorted(reward.taken) == sorted(given)  # each once, the on-policy ones before the first call had returned
    plain = gather(Learner(models, algorithm=in_two_rounds()), Naive())
    assert plain.texts == rollouts.texts
    assert torch.equal(plain.rewards, rollouts.rewards)
    assert torch.equal(plain.reward_parts["words"], rollouts.reward_parts["words"])


def test_an_algorithm_is_told_what_became_of_each_round(models):
    algorithm = GivenRounds([row(EIGHT, 0), row(THREE, 0)], [row(EIGHT, 1)])
    gather(Learner(models, algorithm=algorithm), ScriptedSampler([[2, 5], [3]]))
    first, second = algorithm.graded
    assert [(one.prompt.index, one.number) for one in first.rows] == [(8, 0), (3, 0)]
    assert first.lengths.tolist() == [2, 5]
    assert first.rewards.tolist() == pytest.approx([0.2, 0.5])
    assert torch.cat(list(first.entropies)).tolist() == [1.0] * 7
    assert second.rewards.tolist() == pytest.approx([0.3])


def test_given_rows_are_taken_as_they_are_and_graded_and_scored(build_models, qwen2_folder):
    """A complete row and a prefix that the policy goes on from: log π is that of a plain forward over all tokens."""
    models = build_models(qwen2_folder)
    prompt = Prompt(0, "p", "a", (3, 4, 5))
    stop = models.vocabulary.stop_ids[0]
    algorithm = GivenRounds(
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
    assert (
        algorithm.graded[0].entropies[0].numel() == int(rollouts.response_lengths.sum()) - 3 - 2
    )  # only what was sampled
    for i in range(3):
        length = int(rollouts.response_lengths[i])
        ids = torch.cat([torch.tensor(prompt.token_ids), rollouts.response_ids[i, :length]])
        with torch.no_grad():
            logits = models.policy(ids[None]).logits[0, 2:-1, : models.vocabulary.size]
        logp = logits.log_softmax(-1)
        expected = logp.gather(1, ids[3:, None]).squeeze(1)
        assert torch.allclose(rollouts.logprobs[i, :length], expected, atol=1e-5)
        assert torch.allclose(rollouts.entropies[i, :length], -(logp.exp() * logp).sum(-1), atol=1e-5)


def test_drafts_and_alternatives_stand_where_their_tokens_do(build_models, qwen2_folder, qwen2_expert_folder):
    """Behind a given prefix, and in the rollouts' order, which is not that of sampling."""
    models = build_models(qwen2_folder, qwen2_expert_folder)
    rows = [
        row(EIGHT, 1, given=(1, 2), origin=Origin.MIXTURE),
        row(EIGHT, 0),
        row(THREE, 0, origin=Origin.MIXTURE),
    ]
    algorithm = GivenRounds(rows)
    algorithm.blend = guided_by(0.9).blend
    rollouts = gather(Learner(models, algorithm=algorithm), Naive(), alternatives=2)
    assert rollouts.numbers.tolist() == [0, 1, 0]
    assert torch.equal(rollouts.drafts != rollouts.response_ids, rollouts.replaced)
    assert rollouts.replaced.any()
    assert rollouts.drafts[1, :2].tolist() == [1, 2]
    kept = rollouts.alternatives
    assert torch.equal(torch.stack([kept.rows, kept.positions], 1), rollouts.guided.nonzero())
    mixed = rollouts.only(rollouts.origin == Origin.MIXTURE)
    kept = mixed.alternatives
    assert torch.equal(torch.stack([kept.rows, kept.positions], 1), mixed.guided.nonzero())
    whole = joined_rollouts([rollouts, mixed])
    kept = whole.alternatives
    assert torch.equal(torch.stack([kept.rows, kept.positions], 1), whole.guided.nonzero())
