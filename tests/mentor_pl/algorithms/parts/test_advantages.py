"""Distances from the group's mean, with numbers worked out by hand."""

import pytest
import torch

from mentor_pl.algorithms.parts.advantages import centred, improvement, standardised


def of(function, rewards, baseline=None, **options):
    """`function` over groups of rewards given as lists of lists, which need not be equally long."""
    group = torch.tensor([place for place, row in enumerate(rewards) for _ in row])
    flat = None if baseline is None else torch.tensor([b for row in baseline for b in row], dtype=torch.bool)
    values = function(torch.tensor([r for row in rewards for r in row]), group, baseline=flat, **options)
    return [values[group == place].tolist() for place in range(len(rewards))]


def test_the_distance_from_the_mean_over_the_unbiased_deviation():
    # mean 2, squares 4 + 0 + 4 = 8, over n − 1 = 2: variance 4, deviation 2
    assert of(standardised, [[0.0, 2.0, 4.0]], eps=0.0) == [[-1.0, 0.0, 1.0]]


def test_ties_get_equal_advantages():
    # mean ½, squares 4 · ¼ = 1, over 3: deviation 1/√3, so ±½·√3
    up = 0.5 * 3**0.5
    assert of(standardised, [[1.0, 0.0, 1.0, 0.0]], eps=0.0)[0] == pytest.approx([up, -up, up, -up])


def test_epsilon_joins_the_deviation_and_not_the_variance():
    # deviation 2, eps 2: distances −2, 0, 2 over 4 (under a root it would be √6)
    assert of(standardised, [[0.0, 2.0, 4.0]], eps=2.0) == [[-0.5, 0.0, 0.5]]


def test_only_the_baseline_makes_mean_and_deviation():
    # mean 2 and deviation 2 of the rewards 0, 2, 4, whatever the others got
    assert of(standardised, [[0.0, 2.0, 4.0, 6.0, -2.0]], [[1, 1, 1, 0, 0]], eps=0.0) == [[-1.0, 0.0, 1.0, 2.0, -2.0]]


def test_improvement_is_the_distance_above_the_mean_and_never_negative():
    # mean ½: 0 and ¼ lie below it, ½ on it
    assert of(improvement, [[0.0, 1.0, 0.0, 0.25, 0.5]], [[1, 1, 0, 0, 0]]) == [[0.0, 0.5, 0.0, 0.0, 0.0]]


def test_groups_of_different_sizes_are_measured_each_by_itself():
    # second group: mean 10, deviation 2
    rewards = [[0.0, 2.0, 4.0], [10.0, 12.0, 8.0, 10.0 + 4.0], [1.0, 3.0]]
    baseline = [[1, 1, 1], [1, 1, 1, 0], [1, 1]]
    got = of(standardised, rewards, baseline, eps=0.0)
    assert got[:2] == [[-1.0, 0.0, 1.0], [0.0, 1.0, -1.0, 2.0]]
    assert got[2] == pytest.approx([-(0.5**0.5), 0.5**0.5])  # mean 2, variance 2


@pytest.mark.parametrize("reward", [0.0, 0.1, 0.2, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("count", [2, 3, 4, 7, 8, 16, 64])
def test_equal_rewards_give_zeros_exactly(count, reward):
    # rounding must not pass for a difference: 7 · 0.9 / 7 is not 0.9 in every float, and eps is small
    assert of(standardised, [[reward] * count]) == [[0.0] * count]
    assert of(improvement, [[reward] * count], [[1] * (count - 1) + [0]]) == [[0.0] * count]


def test_a_group_with_nothing_to_be_compared_with_gets_zeros():
    # no baseline; one rollout of it, whose distance is 0; two of it: mean 2, deviation √2
    rewards, baseline = [[1.0, 0.0], [3.0, 5.0], [1.0, 3.0]], [[0, 0], [1, 0], [1, 1]]
    assert of(standardised, rewards, baseline, eps=0.0)[:2] == [[0.0, 0.0], [0.0, 0.0]]
    assert of(standardised, rewards, baseline, eps=0.0)[2] == pytest.approx([-(0.5**0.5), 0.5**0.5])
    assert of(improvement, rewards, baseline) == [[0.0, 0.0], [0.0, 2.0], [0.0, 1.0]]


def test_no_rollouts_have_no_advantages_and_a_group_without_any_harms_no_other():
    nothing = torch.zeros(0)
    assert standardised(nothing, nothing.long()).shape == improvement(nothing, nothing.long()).shape == (0,)
    group = torch.tensor([0, 0, 0, 2, 2])  # mean 2, deviation 2; mean 1, deviation √2
    values = standardised(torch.tensor([0.0, 2.0, 4.0, 0.0, 2.0]), group, eps=0.0).tolist()
    assert values == pytest.approx([-1, 0, 1, -(0.5**0.5), 0.5**0.5])


def test_centred_rewards_are_distances_from_the_group_s_mean_or_from_that_of_the_others():
    rewards, group = torch.tensor([0.0, 1.0, 5.0, 7.0, 3.0]), torch.tensor([0, 0, 0, 1, 2])
    assert centred(rewards, group).tolist() == [-2, -1, 3, 0, 0]
    # the others' means: 3, 2.5, 0.5; who is alone has none
    assert centred(rewards, group, leave_one_out=True).tolist() == [-3, -1.5, 4.5, 0, 0]
    assert centred(torch.zeros(0), torch.zeros(0).long()).tolist() == []
