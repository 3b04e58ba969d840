"""Rows in their order with every column, and rounds and grades that keep their word."""

import math
from dataclasses import replace

import pytest
import torch
from collecting import EIGHT, THREE, GivenRounds, Learner, ScriptedSampler, WordReward, gather, row

from mentor_pl.rewards.base import Grade
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.assemble import joined_rollouts
from mentor_pl.types import Origin


def test_rows_are_ordered_by_prompt_and_a_groups_on_policy_rows_come_first(models):
    reward = WordReward()
    # on-policy lengths 1, 2 for the first prompt and 3, 4 for the second; mixed ones 5 and 6
    rollouts = gather(Learner(models), ScriptedSampler([[1, 2, 3, 4], [5, 6]]), reward=reward)
    assert rollouts.response_lengths.tolist() == [1, 2, 5, 3, 4, 6]
    assert rollouts.origin.tolist() == [Origin.POLICY, Origin.POLICY, Origin.MIXTURE] * 2
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


def test_what_decoding_cost_is_kept_of_both_parts(models):
    rollouts = gather(Learner(models), ScriptedSampler([[1, 2, 3, 4], [5, 6]]))
    assert rollouts.decoding["tokens"] == 21
    assert rollouts.decoding["rolled_back"] == 11  # 5 drafts of the on-policy rollouts, 6 of the mixed ones
    assert rollouts.decoding["expert_calls"] == 0
    assert rollouts.seconds["sampling/drafting"] == 0.5
    assert set(rollouts.seconds) == {"sampling", "grading", "scoring", "sampling/drafting"}


def test_rows_come_out_by_problem_and_number_whatever_round_asked_for_them(models):
    algorithm = GivenRounds([row(THREE, 2), row(EIGHT, 1)], [row(EIGHT, 0), row(THREE, 0)])
    rollouts = gather(Learner(models, algorithm=algorithm), ScriptedSampler([[1, 2], [3, 4]]))
    assert rollouts.response_lengths.tolist() == [4, 1, 3, 2]  # problem 3 was asked for first
    assert rollouts.group.tolist() == [0, 0, 1, 1]
    assert rollouts.rewards.tolist() == pytest.approx([0.4, 0.1, 0.3, 0.2])


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


def test_draws_of_a_step_are_one_batch_with_groups_numbered_anew(models):
    """Of the first draw the group in the middle was dropped; parts of rewards that a draw lacks are 0 there."""
    prompts = [EIGHT, THREE, replace(EIGHT, index=5)]
    algorithm = GivenRounds([row(prompt, 0) for prompt in prompts])
    first = gather(Learner(models, algorithm=algorithm), ScriptedSampler([[1, 2, 3]]), prompts=prompts)
    other = replace(EIGHT, index=6, token_ids=(1, 2, 3))
    second = gather(Learner(models, algorithm=GivenRounds([row(other, 0)])), ScriptedSampler([[4]]), prompts=[other])
    second = replace(second, reward_parts={"late": torch.ones(1)}, without_verdict=2)
    rollouts = joined_rollouts([first.only(first.group != 1), second])
    assert rollouts.problems.tolist() == [8, 5, 6]
    assert rollouts.group.tolist() == [0, 1, 2]
    assert rollouts.prompt_ids.tolist() == [[1, 2, 0], [1, 2, 0], [1, 2, 3]]
    assert rollouts.response_ids.tolist() == [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert rollouts.mask.sum(1).tolist() == [1, 3, 4]
    assert {name: part.tolist() for name, part in rollouts.reward_parts.items()} == {
        "words": [1, 3, 0],
        "late": [0, 0, 1],
    }
    assert rollouts.texts == ("t1", "t1 t1 t1", "t1 t1 t1 t1")
    assert rollouts.without_verdict == 2
    assert rollouts.decoding["tokens"] == 6 + 4
    assert rollouts.expert_logprobs is None
