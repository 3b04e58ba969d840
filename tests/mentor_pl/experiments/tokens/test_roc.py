import math

import numpy as np
import pytest
from scipy import stats

from mentor_pl.experiments.statistics import statistics
from mentor_pl.experiments.tokens.roc import auc, in_words, numbers, roc_curve


def test_ties_count_half():
    # Pairs of positives 3, 1 with negatives 2, 1: 3 beats both, 1 loses to 2 and ties with 1: 2.5 of 4
    assert auc([3, 2, 1, 1], [True, False, True, False], [0, 0, 0, 0]).value == 2.5 / 4


def tokens(problems=8, each=12):
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(problems), each)
    positive = rng.random(len(owners)) < 0.3
    scores = np.round(rng.normal(size=len(owners)) + positive + 0.5 * rng.normal(size=problems)[owners], 1)
    return scores, positive, owners


def mann_whitney(scores, positive):
    ones, zeros = scores[positive], scores[~positive]
    return stats.mannwhitneyu(ones, zeros).statistic / (len(ones) * len(zeros))


def test_it_is_the_u_statistic_of_mann_and_whitney():
    scores, positive, owners = tokens()
    assert auc(scores, positive, owners).value == pytest.approx(mann_whitney(scores, positive), abs=1e-12)


def test_the_interval_is_that_of_whole_problems_drawn_anew(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 99)
    scores, positive, owners = tokens()

    def of_draw(drawn):
        rows = np.concatenate([np.flatnonzero(owners == problem) for problem in drawn.astype(int)])
        return mann_whitney(scores[rows], positive[rows])

    low, high = stats.bootstrap(
        (np.arange(8.0),), of_draw, vectorized=False, n_resamples=99, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert auc(scores, positive, owners).interval == pytest.approx((low, high), abs=1e-12)


def test_copies_of_the_tokens_of_a_problem_make_no_interval_narrower():
    scores, positive, owners = tokens()
    assert auc(*(np.tile(column, 5) for column in (scores, positive, owners))).interval == pytest.approx(
        auc(scores, positive, owners).interval, abs=1e-12
    )


def test_names_of_problems_may_be_anything():
    scores, positive, owners = tokens()
    assert auc(scores, positive, [f"p{owner}" for owner in owners]) == auc(scores, positive, owners)


@pytest.mark.parametrize(("scores", "positive"), [([1, 2], [True, True]), ([1, 2], [False, False]), ([], [])])
def test_tokens_of_one_kind_have_no_area(scores, positive):
    found = auc(scores, positive, range(len(scores)))
    assert math.isnan(found.value)
    assert in_words(found) == "–"
    assert numbers(found) == {"auc": None, "interval": None}


def test_a_single_problem_has_an_area_and_no_interval():
    found = auc([2, 1], [True, False], [7, 7])
    assert in_words(found) == "1.000"
    assert numbers(found) == {"auc": 1.0, "interval": None}


def test_the_curve_takes_equal_scores_at_once():
    # From the highest: 3 positive; 2 negative; 1 one of each
    false, true = roc_curve([1, 3, 2, 1], [True, True, False, False])
    assert false.tolist() == [0, 0, 0.5, 1]
    assert true.tolist() == [0, 0.5, 0.5, 1]
