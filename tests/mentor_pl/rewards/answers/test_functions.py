"""Named functions: bases, powers and inverses; numbers that would take too long are not worked out."""

from __future__ import annotations

import pytest
import sympy

from mentor_pl.rewards.answers.functions import Refused, Unreadable, safe_binomial, safe_factorial, safe_power, value_of

x, y = sympy.symbols("x y", real=True)
N = sympy.Integer


def test_a_logarithm_has_the_base_ten_unless_one_is_given() -> None:
    assert value_of("log", [N(1000)]) == 3
    assert value_of("log", [N(8)], base=N(2)) == 3
    assert value_of("ln", [sympy.E]) == 1
    assert value_of("lg", [N(100)]) == 2


def test_a_power_is_the_values_but_minus_one_is_the_inverse_of_a_function_that_has_one() -> None:
    assert value_of("sin", [x], exponent=N(2)) == sympy.sin(x) ** 2
    assert value_of("tan", [N(1)], exponent=N(-1)) == sympy.pi / 4
    assert value_of("ln", [x], exponent=N(-1)) == 1 / sympy.log(x)


def test_some_functions_are_of_several_values() -> None:
    assert [value_of(name, [N(4), N(6)]) for name in ("max", "min", "gcd", "lcm")] == [6, 4, 2, 12]
    with pytest.raises(Unreadable):
        value_of("sin", [x, y])


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
    with pytest.raises(Refused):
        safe_power(base, exponent)


@pytest.mark.parametrize("base", [N(3001), N(-1), sympy.Rational(1, 2), sympy.pi, sympy.factorial(x)])
def test_factorials_of_what_is_large_or_has_none_are_refused(base: sympy.Expr) -> None:
    with pytest.raises(Refused):
        safe_factorial(base, False)


def test_binomials_of_what_is_large_or_no_integer_are_refused() -> None:
    for top, bottom in ((N(3001), N(2)), (N(5), sympy.Rational(1, 2))):
        with pytest.raises(Refused):
            safe_binomial(top, bottom)


def test_a_root_of_a_large_number_is_left_as_it_is() -> None:
    """Its factors would have to be found."""
    large = N(2) ** 601
    root = safe_power(large, sympy.Rational(1, 2))
    assert root.func is sympy.Pow and root.args == (large, sympy.Rational(1, 2))
