"""Equations [10] and [11], with numbers worked out by hand."""

import pytest
import torch

from mentor_pl.algorithms.parts.advantages import MentorAdvantage


def advantages(rewards, mixed, alpha=1.0, reward_range=1.0, eps=0.0):
    call = MentorAdvantage(eps)
    return call(torch.tensor(rewards), torch.tensor(mixed, dtype=torch.bool), alpha, reward_range).tolist()


def test_on_policy_is_the_distance_from_the_mean_over_the_unbiased_deviation():
    # mean 2, squares 4 + 0 + 4 = 8, over n − 1 = 2: variance 4, deviation 2
    assert advantages([[0.0, 2.0, 4.0]], [[0, 0, 0]]) == [[-1.0, 0.0, 1.0]]


def test_ties_get_equal_advantages():
    # mean ½, squares 4 · ¼ = 1, over 3: deviation 1/√3, so ±½·√3
    up = 0.5 * 3**0.5
    assert advantages([[1.0, 0.0, 1.0, 0.0]], [[0, 0, 0, 0]])[0] == pytest.approx([up, -up, up, -up])


def test_epsilon_joins_the_deviation_and_not_the_variance():
    # deviation 2, eps 2: distances −2, 0, 2 over 4 (under a root it would be √6)
    assert advantages([[0.0, 2.0, 4.0]], [[0, 0, 0]], eps=2.0) == [[-0.5, 0.0, 0.5]]


def test_mixed_rollouts_take_no_part_in_mean_and_deviation():
    # mean 2 and deviation 2 of the on-policy rewards 0, 2, 4, whatever the mixed ones got
    rewards, mixed = [[0.0, 2.0, 4.0, 100.0, -7.0]], [[0, 0, 0, 1, 1]]
    assert advantages(rewards, mixed)[0][:3] == [-1.0, 0.0, 1.0]


def test_guided_success_earns_its_distance_times_alpha_over_the_range_undivided_by_the_deviation():
    # mean(R_on) = ¼: (1 − ¼) · α ½ / range 2 = 3/16
    rewards, mixed = [[0.0, 0.5, 1.0]], [[0, 0, 1]]
    assert advantages(rewards, mixed, alpha=0.5, reward_range=2.0)[0][2] == 0.1875


def test_a_guided_failure_is_never_punished():
    # mean(R_on) = ½: 0 and 0.25 lie below it, 0.5 on it
    rewards, mixed = [[0.0, 1.0, 0.0, 0.25, 0.5]], [[0, 0, 1, 1, 1]]
    assert advantages(rewards, mixed)[0][2:] == [0.0, 0.0, 0.0]


def test_a_group_whose_mixed_rollouts_all_fail_is_plain_grpo():
    rewards, mixed = [[0.0, 2.0, 4.0, 0.0, 0.0]], [[0, 0, 0, 1, 1]]
    assert advantages(rewards, mixed) == [[-1.0, 0.0, 1.0, 0.0, 0.0]]


def test_alpha_zero_takes_mixed_rollouts_out():
    assert advantages([[0.0, 1.0, 1.0]], [[0, 0, 1]], alpha=0.0)[0][2] == 0.0


def test_each_group_is_measured_by_itself_and_the_place_of_mixed_rows_is_free():
    rewards, mixed = [[0.0, 2.0, 4.0, 3.0], [6.0, 10.0, 12.0, 8.0]], [[0, 0, 0, 1], [1, 0, 0, 0]]
    # second group: mean 10, deviation 2; the mixed 6 lies below
    assert advantages(rewards, mixed) == [[-1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, -1.0]]


def test_guided_success_stays_where_all_on_policy_rollouts_fail():
    # zero variance: on-policy rows carry nothing, the guided success carries the whole step
    assert advantages([[0.0, 0.0, 0.0, 1.0]], [[0, 0, 0, 1]], eps=1e-6) == [[0.0, 0.0, 0.0, 1.0]]


@pytest.mark.parametrize("reward", [0.0, 0.1, 0.2, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("count", [2, 3, 4, 7, 8, 16, 64])
def test_equal_rewards_give_zeros_exactly(count, reward):
    # rounding must not pass for a difference: 8 · 0.9 / 8 is not 0.9 in every float, and ε is small
    assert advantages([[reward] * count], [[0] * count], eps=1e-6) == [[0.0] * count]


def test_equal_on_policy_rewards_give_an_equal_mixed_reward_nothing():
    assert advantages([[0.9] * 8], [[0] * 6 + [1] * 2], eps=1e-6)[0][6:] == [0.0, 0.0]
