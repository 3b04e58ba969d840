import math

import pytest

from mentor_pl.experiments.design.outcome import Criterion, Outcome, fall, summary
from mentor_pl.runtime.errors import UsageError


@pytest.mark.parametrize(
    ("series", "last", "area"),
    [
        ({0: 0.0, 2: 0.5, 4: 1.0}, 0.75, 0.5),
        ({0: 0.0, 1: 1.0, 4: 1.0}, 1.0, (0.5 + 3) / 4),  # uneven steps: trapezoids of width 1 and 3
        ({4: 0.5}, None, None),
        ({}, None, None),
        ({0: 0.0, 2: math.nan, 4: 1.0}, None, None),
    ],
)
def test_the_two_summaries_by_hand(series, last, area):
    assert summary(series, Outcome("x", "last", 2)) == last
    assert summary(series, Outcome("x", "area")) == area


@pytest.mark.parametrize(
    ("values", "drop"),
    [
        ([0.5, 0.7, 0.62, 0.71, 0.6], 0.11),  # from .71 to .6, and not from .7 to .62
        ([0.7, 0.5, 0.9, 0.8], 0.2),
        ([0.1, 0.2, 0.3], 0.0),  # it only rises
        ([0.4], 0.0),
    ],
)
def test_a_fall_is_from_the_best_before(values, drop):
    assert fall(values) == pytest.approx(drop)
    assert summary(dict(enumerate(values)), Outcome("x", "fall")) == pytest.approx(drop)


CURVE = {0: 0.1, 2: 0.3, 4: 0.5, 6: 0.9}
SAMPLED = {1: 100.0, 2: 200.0, 3: 300.0, 4: 600.0, 5: 700.0, 6: 1000.0}  # at evaluations: 0, 200, 600, 1000


@pytest.mark.parametrize(
    ("budget", "last", "area"),
    [
        (1000.0, 0.7, (200 * 0.2 + 400 * 0.4 + 400 * 0.7) / 1000),
        (999.0, 0.4, (200 * 0.2 + 400 * 0.4) / 600),
        (600.0, 0.4, (200 * 0.2 + 400 * 0.4) / 600),
        (200.0, 0.2, 0.2),
        (100.0, None, None),  # a single evaluation
    ],
)
def test_at_equal_tokens_evaluations_within_the_budget_count_against_tokens(budget, last, area):
    assert summary(CURVE, Outcome("x", "last", 2, "tokens"), SAMPLED, budget) == pytest.approx(last)
    assert summary(CURVE, Outcome("x", "area", at="tokens"), SAMPLED, budget) == pytest.approx(area)
    assert summary(CURVE, Outcome("x", "last", 2), SAMPLED, budget) == pytest.approx(0.7)


@pytest.mark.parametrize("sampled", [None, {}, {6: 0.0}])
def test_a_run_that_samples_none_counts_whole(sampled):
    assert summary(CURVE, Outcome("x", "last", 1, "tokens"), sampled, 10.0) == 0.9
    assert summary(CURVE, Outcome("x", "area", at="tokens"), sampled, 10.0) == summary(CURVE, Outcome("x", "area"))


def test_a_criterion_says_how_far_beyond_its_bounds_a_value_is():
    both = Criterion("grpo", "acc", at_most=0.8, at_least=0.5)
    assert [both.excess(value) for value in (0.9, 0.7, 0.2)] == pytest.approx([0.1, -0.1, 0.3])
    assert both.name == "grpo: acc, last value, at most 0.8 and at least 0.5"
    assert (
        Criterion("grpo", "acc", "fall", at_most=0.08).name
        == "grpo: acc, largest fall below the best before, at most 0.08"
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "criterion of acc for 'grpo' has no bound: give at_most, at_least or both"),
        ({"at_most": 1, "last": 0}, "criterion of acc for 'grpo': last is 0, but it counts evaluations"),
        ({"at_most": 1, "at_least": 2}, "at_least is 2, but at_most 1: swap them"),
        ({"at_most": 1, "metric": "cell/second"}, "there is cell/seconds and cell/cpu_seconds: give one of them"),
    ],
)
def test_a_criterion_that_cannot_be_judged_is_refused(settings, words):
    with pytest.raises(UsageError, match=words):
        Criterion(**{"method": "grpo", "metric": "acc"} | settings)


def test_a_mean_of_no_evaluation_is_refused():
    with pytest.raises(UsageError, match="val/maze/avg@8: last is 0, but it counts evaluations"):
        Outcome("val/maze/avg@8", last=0)
