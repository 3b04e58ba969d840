"""Named functions: bases, powers and inverses."""

from __future__ import annotations

import sympy

from mentor_pl.rewards.answers.functions import OF_SEVERAL, value_of

x = sympy.Symbol("x", real=True)


def test_a_logarithm_has_the_base_ten_unless_one_is_given() -> None:
    assert value_of("log", sympy.Integer(1000)) == 3
    assert value_of("log", sympy.Integer(8), sympy.Integer(2)) == 3
    assert value_of("ln", sympy.E) == 1
    assert value_of("lg", sympy.Integer(100)) == 2


def test_a_power_is_the_values_but_minus_one_is_the_inverse_of_a_function_that_has_one() -> None:
    assert value_of("sin", x, exponent=sympy.Integer(2)) == sympy.sin(x) ** 2
    assert value_of("tan", sympy.Integer(1), exponent=sympy.Integer(-1)) == sympy.pi / 4
    assert value_of("ln", x, exponent=sympy.Integer(-1)) == 1 / sympy.log(x)


def test_some_functions_are_of_several_values() -> None:
    assert [OF_SEVERAL[name](4, 6) for name in ("max", "min", "gcd", "lcm")] == [6, 4, 2, 12]
