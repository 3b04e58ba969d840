"""Bootstrap: against the enumeration of every resample, and against the normal law of many problems."""

from itertools import product

import numpy as np
import pytest

from mentor_pl.evaluation.intervals import difference, interval, resampled_means, wilson


def test_means_come_up_as_often_as_among_all_resamples_there_are():
    values = [0.0, 0.5, 0.5, 1.0]
    means, counts = np.unique([np.mean(drawn) for drawn in product(values, repeat=4)], return_counts=True)
    drawn = resampled_means(values, "toy", resamples=200_000)
    assert drawn.shape == (200_000,)
    assert set(np.round(drawn, 9)) == set(np.round(means, 9))
    for mean, count in zip(means, counts, strict=True):
        assert np.mean(np.isclose(drawn, mean)) == pytest.approx(count / 4**4, abs=0.005)  # five standard errors


def test_many_problems_have_the_interval_of_the_normal_law():
    """0.3 ± 1.96·√(0.3·0.7/1000) = 0.3 ± 0.0284."""
    assert interval(resampled_means([1.0] * 300 + [0.0] * 700, "toy")) == pytest.approx((0.2716, 0.3284), abs=0.002)


def test_the_interval_holds_its_level_between_equal_tails():
    assert interval(np.arange(101.0), 0.9) == pytest.approx((5, 95))


def test_the_same_problems_have_the_same_interval_and_two_benchmarks_independent_ones():
    values = [0.0, 1.0] * 20
    assert (resampled_means(values, "a") == resampled_means(values[::-1], "a")).all()
    assert abs(np.corrcoef(resampled_means(values, "a"), resampled_means(values, "b"))[0, 1]) < 0.05


def test_equal_values_have_an_interval_of_no_width():
    assert interval(resampled_means([0.25] * 7, "toy")) == (0.25, 0.25)


def test_wilsons_interval_and_newcombes_difference_by_hand():
    """1 of 4 and 3 of 4: (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n) with z = 1.96."""
    assert wilson(1, 4) == pytest.approx((0.0456, 0.6994), abs=1e-4)
    assert wilson(0, 4)[0] == 0
    assert difference(3, 4, 1, 4) == pytest.approx((0.5, 0.5 - 0.6355, 0.5 + 0.2891), abs=1e-3)
