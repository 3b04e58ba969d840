"""Numbers that would take too long are not worked out."""

from __future__ import annotations

import pytest
import sympy

from mentor_pl.rewards.answers.cheap import TooLarge, safe_binomial, safe_factorial, safe_power

x, y = sympy.symbols("x y", real=True)
N = sympy.Integer


def test_what_is_cheap_is_worked_out_exactly() -> None:
    assert safe_factorial(N(6), False) == 720
    assert safe_factorial(N(7), True) == 105  # 7 · 5 · 3
    assert safe_power(N(3), N(-4)) == sympy.Rational(1, 81)
    assert safe_power(x, y) == x**y
    assert safe_binomial(N(7), N(3)) == 35
    assert safe_factorial(x, False) == sympy.factorial(x)


@pytest.mark.parametrize(
    ("base", "exponent"),
    [(N(9), N(10) ** 9), (N(10) ** 9, N(-(10**4))), (sympy.pi, N(10**6)), (x, N(3001)), (x, sympy.pi)],
)
def test_powers_that_are_too_large_are_refused(base: sympy.Expr, exponent: sympy.Expr) -> None:
    with pytest.raises(TooLarge):
        safe_power(base, exponent)


@pytest.mark.parametrize("base", [N(3001), N(-1), sympy.Rational(1, 2), sympy.pi, sympy.factorial(x)])
def test_factorials_of_what_is_large_or_has_none_are_refused(base: sympy.Expr) -> None:
    with pytest.raises(TooLarge):
        safe_factorial(base, False)


def test_binomials_of_what_is_large_or_no_integer_are_refused() -> None:
    for top, bottom in ((N(3001), N(2)), (N(5), sympy.Rational(1, 2))):
        with pytest.raises(TooLarge):
            safe_binomial(top, bottom)


def test_a_root_of_a_large_number_is_left_as_it_is() -> None:
    """Its factors would have to be found."""
    large = N(2) ** 601
    root = safe_power(large, sympy.Rational(1, 2))
    assert root.func is sympy.Pow and root.args == (large, sympy.Rational(1, 2))
