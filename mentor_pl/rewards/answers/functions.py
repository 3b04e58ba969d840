"""The functions that have names of their own, and their values."""

from __future__ import annotations

from typing import Any

import sympy

from mentor_pl.rewards.answers.cheap import safe_power

_CALLED: dict[str, Any] = {
    "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "cot": sympy.cot, "sec": sympy.sec, "csc": sympy.csc,
    "arcsin": sympy.asin, "arccos": sympy.acos, "arctan": sympy.atan, "sinh": sympy.sinh, "cosh": sympy.cosh,
    "tanh": sympy.tanh, "ln": sympy.log, "exp": sympy.exp, "cis": lambda x: sympy.cos(x) + sympy.I * sympy.sin(x),
    "lg": lambda x: sympy.log(x, 10), "arccot": sympy.acot, "arcsinh": sympy.asinh, "arccosh": sympy.acosh,
    "arctanh": sympy.atanh,
}  # fmt: skip
_INVERSE = {"sin": sympy.asin, "cos": sympy.acos, "tan": sympy.atan, "sinh": sympy.asinh, "cosh": sympy.acosh}
OF_SEVERAL: dict[str, Any] = {"max": sympy.Max, "min": sympy.Min, "gcd": sympy.gcd, "lcm": sympy.lcm}


def value_of(name: str, argument: Any, base: Any = None, exponent: Any = None) -> Any:
    """A function's value, `log` to its base or to 10, raised to a power; to the power of −1 the inverse function's."""
    if exponent == -1 and name in _INVERSE:
        return _INVERSE[name](argument)
    if name == "log":
        value = sympy.log(argument, 10 if base is None else base)
    else:
        value = _CALLED[name](argument)
    return value if exponent is None else safe_power(value, exponent)
