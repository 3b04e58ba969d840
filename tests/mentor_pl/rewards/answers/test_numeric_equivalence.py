"""Functions compared at fixed points."""

from __future__ import annotations

import sympy

from mentor_pl.rewards.answers.numeric_equivalence import same_function

x, y = sympy.symbols("x y", real=True)


def test_equal_functions_agree_at_every_point_and_different_ones_do_not() -> None:
    assert same_function((x + y) ** 2, x**2 + 2 * x * y + y**2) is True
    assert same_function(sympy.sin(x) ** 2, 1 - sympy.cos(x) ** 2) is True
    assert same_function(x, y) is False
    assert same_function(x, x + sympy.Rational(1, 10**6)) is False


def test_points_where_one_is_not_real_do_not_count() -> None:
    assert same_function(sympy.sqrt(x) ** 2, x) is True  # equal where the root is real
    assert same_function(sympy.sqrt(x - 100), sympy.sqrt(x - 100)) is None  # real nowhere among the points


def test_imaginary_values_count_where_the_imaginary_unit_was_written() -> None:
    assert same_function((x + sympy.I) ** 2, x**2 - 1 + 2 * sympy.I * x) is True
    assert same_function(sympy.I * x, x) is False


def test_constants_and_too_many_variables_have_no_verdict() -> None:
    assert same_function(sympy.Integer(1), sympy.Integer(1)) is None
    many = sum(sympy.symbols("a0:13", real=True))
    assert same_function(many, many) is None
