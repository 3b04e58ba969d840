import math

import pytest

from mentor_pl.experiments.statistics.statistics import (
    bootstrap,
    compare,
    holm,
    iqm,
    mean_and_error,
    permutation_p,
    smallest_p,
    summarise,
)


def test_mean_and_standard_error_by_hand():
    # 1, 2, 6: mean 3, squared distances 4 + 1 + 9 = 14, variance 7, standard error √(7 / 3)
    assert mean_and_error([1.0, 2.0, 6.0]) == pytest.approx((3.0, math.sqrt(7 / 3)))
    mean, error = mean_and_error([4.0])
    assert mean == 4.0
    assert math.isnan(error)


def test_the_interquartile_mean_is_of_the_middle_half():
    assert iqm([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert iqm([1.0, 2.0, 9.0]) == pytest.approx(4.0)  # of three nothing is a quarter


def test_an_interval_lies_about_its_statistic_and_leans_to_the_long_side():
    low, high = bootstrap([1.0, 1.1, 1.2, 1.3, 1.4, 3.0])
    mean = 1.5
    assert low < mean < high
    assert high - mean > mean - low


def test_the_interval_of_equal_seeds_is_their_value_and_one_seed_has_none():
    assert bootstrap([0.7, 0.7, 0.7], iqm) == (0.7, 0.7)
    assert all(map(math.isnan, bootstrap([0.7], iqm)))
    alone = summarise([0.7])
    assert (alone.n, alone.mean, alone.iqm) == (1, 0.7, 0.7)
    assert summarise([]) is None


def test_where_leaving_out_any_seed_gives_the_same_there_is_an_interval_all_the_same():
    # Without any one of 0, 5, 5, 5, 9 the middle half of the others is 5, 5: BCa's acceleration is 0 ÷ 0.
    low, high = bootstrap([0.0, 5.0, 5.0, 5.0, 9.0], iqm)
    assert low < 5 < high


@pytest.mark.parametrize(
    ("differences", "greater", "less"),
    [
        ([1.0, 2.0, 3.0], 1 / 8, 1.0),  # of the 8 signs only +++ gives as much
        ([1.0, 2.0, -1.0], 3 / 8, 7 / 8),  # sum 2; as much: +++ 4, ++− 2, −++ 2; less: all but +++
        ([0.0, 0.0, 0.0], 1.0, 1.0),
        ([0.5], 1 / 2, 1.0),
    ],
)
def test_the_permutation_test_counts_signs(differences, greater, less):
    assert permutation_p(differences, "greater") == pytest.approx(greater)
    assert permutation_p(differences, "less") == pytest.approx(less)


def test_of_many_seeds_signs_are_drawn_and_the_same_each_time():
    differences = [0.1 * (k % 5) - 0.1 for k in range(20)]
    p = permutation_p(differences, "greater")
    assert p == permutation_p(differences, "greater")
    assert smallest_p(20) <= p < 0.05


def test_a_paired_comparison_by_hand():
    found = compare({1: 0.5, 2: 0.7, 3: 0.6}, {1: 0.4, 2: 0.6, 3: 0.3})
    assert found.seeds == (1, 2, 3)
    assert found.mean == pytest.approx(0.5 / 3)
    # Differences .1, .1, .3: mean 1/6, variance (2 · (1/15)² + (2/15)²) / 2 = 1/75; d = (1/6) / √(1/75) = √75 / 6
    assert found.d == pytest.approx(math.sqrt(75) / 6)
    # Of 9 pairs ours is above in 2 + 3 + 2 and equal in one (.6).
    assert found.improvement == pytest.approx((7 + 0.5) / 9)
    assert (found.p_above, found.p_below) == pytest.approx((1 / 8, 1.0))


def test_only_seeds_that_both_have_are_paired_and_the_others_are_named():
    found = compare({1: 0.5, 2: 0.7, 4: 9.0}, {1: 0.4, 2: 0.5, 3: -9.0})
    assert found.seeds == (1, 2)
    assert found.left_out == (3, 4)
    assert found.mean == pytest.approx(0.15)
    assert compare({1: 0.5}, {2: 0.5}) is None


def test_one_seed_has_a_difference_and_no_interval():
    found = compare({1: 0.5}, {1: 0.25})
    assert found.mean == 0.25
    assert math.isnan(found.interval[0])
    assert math.isnan(found.d)
    assert found.p_above == 0.5


def test_all_equal_seeds_tell_nothing():
    found = compare(dict.fromkeys(range(8), 0.5), dict.fromkeys(range(8), 0.5))
    assert (found.mean, found.interval, found.improvement) == (0.0, (0.0, 0.0), 0.5)
    assert (found.p_above, found.p_below) == (1.0, 1.0)
    assert math.isnan(found.d)


def test_the_threshold_is_what_the_difference_is_tested_against():
    ours, theirs = dict.fromkeys(range(6), 0.52), dict.fromkeys(range(6), 0.5)
    assert compare(ours, theirs, 0.01).p_above == pytest.approx(1 / 64)
    assert compare(ours, theirs, 0.05).p_below == pytest.approx(1 / 64)


def test_a_difference_that_is_the_threshold_but_for_rounding_is_neither_above_nor_below():
    ours, theirs = dict.fromkeys(range(10), 0.7), dict.fromkeys(range(10), 0.6)
    assert 0.7 - 0.6 != 0.1
    found = compare(ours, theirs, 0.1)
    assert (found.p_above, found.p_below) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("ps", "adjusted"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # .01 · 3; .03 · 2; .04 · 1, but no less than .06
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_holm_by_hand(ps, adjusted):
    assert holm(ps) == pytest.approx(adjusted)
