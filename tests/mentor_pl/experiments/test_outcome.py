import math

import pytest

from mentor_pl.experiments.outcome import Outcome, summary


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
