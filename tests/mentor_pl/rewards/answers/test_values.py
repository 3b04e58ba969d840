"""When two values are the same, and by which convention."""

from __future__ import annotations

from typing import Any

import pytest
import sympy

from mentor_pl.rewards.answers.answer import Value
from mentor_pl.rewards.answers.formula import symbol
from mentor_pl.rewards.answers.reader import read
from mentor_pl.rewards.answers.rules import Conventions
from mentor_pl.rewards.answers.values import same_equation, same_function, same_value

x, y = symbol("x"), symbol("y")


def same(answer: str, reference: str, **conventions: Any) -> bool | None:
    ours, theirs = read(answer), read(reference)
    assert isinstance(ours, Value) and isinstance(theirs, Value)
    return same_value(ours, theirs, Conventions(**conventions))


@pytest.mark.parametrize(
    ("exact", "decimal", "by"),
    [
        (r"\frac{600}{7}", "85.71", "reference"),  # 85.714…
        (r"\frac{600}{7}", "85.72", ""),
        (r"\frac{600}{7}", "85.7143", "exact"),  # six digits
        (r"\frac13", "0.33", ""),  # two
        (r"\sqrt 2", "1.41", "reference"),
        (r"\sqrt 2", "1.41421", "exact"),
        (r"\frac18", "0.13", ""),
        (r"\frac18", "0.1250", "exact"),  # the same number
        ("5", "5.00", "exact"),
        ("5", "5.001", ""),
        (r"\pi", "3.14", "reference"),
        (r"\pi", "3.15", ""),
        (r"2.5 \times 10^{-3}", "0.0025", "exact"),
        (r"\frac{2}{3} \cdot 10^6", r"6.67 \times 10^5", ""),  # no places behind the point
    ],
)
def test_a_decimal_stands_for_what_rounds_to_it_by_its_digits_and_side(exact: str, decimal: str, by: str) -> None:
    """`by` is the strictest convention under which the exact one equals the decimal reference."""
    rules = ("exact", "reference", "either")
    least = rules.index(by) if by else len(rules)
    assert [same(exact, decimal, decimals=rule) for rule in rules] == [least <= rank for rank in range(len(rules))]
    assert [same(decimal, exact, decimals=rule) for rule in rules] == [by == "exact", by == "exact", bool(by)]


@pytest.mark.parametrize(
    ("answer", "reference", "verdict"),
    [
        ("0.0000001", "0.0000002", False),
        (r"\sqrt{2} \cdot 10^{-18}", r"\sqrt{3} \cdot 10^{-18}", False),
        (r"2^{2008} + \sqrt{2}", r"2^{2008} - \sqrt{2}", False),  # 600 digits, and the last ones decide
        (r"2^{300}\sqrt{2}", r"\sqrt{2^{601}}", True),
        (r"\sqrt{3+2\sqrt 2}", r"1+\sqrt 2", True),
        ("(1+i)^2", "2i", True),
        ("3+4i", "3-4i", False),
        (r"\ln(xy)", r"\ln x + \ln y", True),
        ("x + 10^{-9}", "x", False),
        (r"\frac{\pi}{4} + k\pi", r"\frac{\pi}{4} + n\pi", True),  # general solutions
        (r"\frac{\pi}{4} + k\pi", r"\frac{\pi}{4} + 2n\pi", False),
        ("2k", "2n", False),
    ],
)
def test_values_are_compared_exactly_and_formulas_at_points(answer: str, reference: str, verdict: bool) -> None:
    assert same(answer, reference) is same(reference, answer) is verdict


@pytest.mark.parametrize(
    ("answer", "reference", "ignore", "require"),
    [
        ("15 cm", "15", True, False),
        ("15 cm", "0.15 meters", True, True),
        ("15 cm", "15 mm", False, False),
        ("36 km/h", "10 meters per second", True, True),
        ("9 cm^2", "9 cm^3", False, False),
        ("12 inches", "1 foot", True, True),
        ("250 cents", r"\$2.50", True, True),
        ("3 apples", "3 pears", False, False),
        (r"180^\circ", r"\pi", True, True),
        (r"30^\circ", "30", True, False),
        (r"30^\circ", "31", False, False),
    ],
)
def test_units_are_converted_and_may_be_left_out_where_that_is_allowed(
    answer: str, reference: str, ignore: bool, require: bool
) -> None:
    for ours, theirs in ((answer, reference), (reference, answer)):
        assert [same(ours, theirs, units=rule) for rule in ("ignore", "require")] == [ignore, require]


@pytest.mark.parametrize(
    ("answer", "reference", "optional", "exact"),
    [
        (r"50\%", "0.5", True, True),
        (r"50\%", "50", True, False),
        (r"50\%", "50 percent", True, True),
        ("50%", "5", False, False),
    ],
)
def test_a_percent_sign_is_a_hundredth_or_is_left_out(answer: str, reference: str, optional: bool, exact: bool) -> None:
    for ours, theirs in ((answer, reference), (reference, answer)):
        assert [same(ours, theirs, percent=rule) for rule in ("optional", "exact")] == [optional, exact]


def test_a_tolerance_is_relative_to_the_reference() -> None:
    assert same("1.005", "1", tolerance=0.01)
    assert not same("1.005", "1", tolerance=0.001)
    assert same(r"\sqrt{101}", r"\sqrt{100}", tolerance=0.01)
    assert [same("110", "100", tolerance=0.095), same("100", "110", tolerance=0.095)] == [False, True]


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


def test_equations_are_multiples_and_inequalities_positive_ones() -> None:
    a, b = 2 * x - 6 * y, 3 * y - x
    assert same_equation(a, b, signed=False) is True  # a = -2 b
    assert same_equation(a, b, signed=True) is False
    assert same_equation(a, -b, signed=True) is True
    assert same_equation(a, a + 1, signed=False) is None  # by no constant factor
    assert same_equation(a, x, signed=False) is False
