import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from mentor_pl.experiments.tokens.success_spread import spread


def of(weights, successes, n):
    return spread(weights, successes, n, np.random.default_rng(0))


def test_rates_without_noise_have_their_weighted_spread():
    # π = ¼, ¾; p̂ = 1, 0; p̄ = ¼; V = ¼ · 9/16 + ¾ · 1/16 = 3/16
    found = of([1, 3], [4, 0], 4)
    assert found.variance == pytest.approx(3 / 16)
    assert found.importance == pytest.approx(math.sqrt(3) / 4)
    assert (found.noise, found.range) == (0, 1)


def test_equal_rates_have_less_than_no_spread_and_no_importance():
    # π (1 − π) p̂ (1 − p̂) ÷ 3 = 1/48, twice
    found = of([0.5, 0.5], [2, 2], 4)
    assert found.variance == pytest.approx(-1 / 24)
    assert (found.importance, found.range, found.p) == (0, 0, 1)


@pytest.mark.parametrize(("weights", "rates"), [((0.3, 0.7), (0.2, 0.7)), ((0.2, 0.3, 0.5), (0.4, 0.4, 0.4))])
def test_the_estimate_of_the_variance_is_unbiased(weights, rates):
    n, pi, q = 3, np.array(weights), np.array(rates)
    expected = 0.0
    for counts in product(range(n + 1), repeat=len(pi)):
        expected += float(np.prod(binom.pmf(counts, n, q))) * of(weights, counts, n).variance
    assert expected == pytest.approx(float(pi @ (q - pi @ q) ** 2), abs=1e-12)


def test_p_is_the_share_of_deals_that_differ_as_much():
    # 4 successes dealt over 2 · 4 continuations: 2 of the 70 deals put all of them on one side
    assert of([0.9, 0.1], [4, 0], 4).p == pytest.approx(2 / 70, abs=0.006)
    assert of([0.9, 0.1], [16, 0], 16).p == 1e-4  # the least that 9,999 deals can give


def test_where_nothing_depends_on_the_token_p_is_seldom_small():
    rng = np.random.default_rng(1)
    ps = [spread([1, 1, 1], rng.binomial(16, 0.3, 3), 16, rng).p for _ in range(200)]
    assert np.mean(np.array(ps) <= 0.05) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 200)
