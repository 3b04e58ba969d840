"""A value outside its range is one line with key, value, rule and remedy."""

import math

import pytest

from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check, check_seed


def test_the_line_has_key_value_rule_and_remedy():
    with pytest.raises(UsageError) as refusal:
        check("gate p", 1.5, above=0, below=1, because="a quantile lies between", otherwise="such as 0.95")
    assert str(refusal.value) == (
        "gate p is 1.5, but a quantile lies between: give more than 0 and less than 1, such as 0.95"
    )


@pytest.mark.parametrize("value", [0, 0.5, 1, None])
def test_bounds_that_belong_to_the_range_pass_and_so_does_what_is_not_set(value):
    check("share", value, at_least=0, at_most=1)


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.1])
def test_bounds_that_do_not_belong_to_it_are_refused(value):
    with pytest.raises(UsageError, match=f"share is {value}: give more than 0 and less than 1"):
        check("share", value, above=0, below=1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_in_no_range(value):
    with pytest.raises(UsageError, match=f"weight is {value}: give a finite number"):
        check("weight", value)


def test_infinity_passes_where_it_is_a_value_and_nan_does_not():
    check("norm", math.inf, above=0, infinite=True)
    with pytest.raises(UsageError, match="norm is nan: give more than 0"):
        check("norm", math.nan, above=0, infinite=True)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_not_every_generator_takes_is_refused(seed):
    check_seed("data.seed", 2**32 - 1)
    with pytest.raises(UsageError, match=f"data.seed is {seed}, but .*: give at least 0 and at most 4294967295"):
        check_seed("data.seed", seed)


def test_a_count_that_no_machine_counts_to_is_refused_where_no_bound_is_named():
    check("steps", 2**31 - 1, at_least=1)
    check("weight", 1e20, at_least=1)
    with pytest.raises(UsageError, match="steps is 2147483648: give at least 1 and at most 2147483647"):
        check("steps", 2**31, at_least=1)
