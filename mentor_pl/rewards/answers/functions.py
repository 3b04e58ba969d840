"""The functions that have names of their own, powers and factorials, where they are cheap to work out."""

from __future__ import annotations

from typing import Any

import sympy

_NUMBER_BITS = 50_000  # of the largest number that is worked out
_MAX_ARGUMENT = 3000  # of a factorial
_OTHER_NAMES: dict[str, Any] = {
    "ln": sympy.log, "lg": lambda x: sympy.log(x, 10), "cis": lambda x: sympy.cos(x) + sympy.I * sympy.sin(x),
    "log": lambda x, base=10: sympy.log(x, base), "max": sympy.Max, "min": sympy.Min,
}  # fmt: skip
OF_SEVERAL = frozenset(("max", "min", "gcd", "lcm"))


class Unreadable(Exception):
    """Not of the grammar of formulas."""


class Refused(Unreadable):
    """To be read in two ways, or a number that would take too long to work out."""


def _check_small(*parts: Any) -> None:
    if any(part.is_number and not (part.is_Integer and abs(part) <= _MAX_ARGUMENT) for part in parts):
        raise Refused


def safe_factorial(base: Any, twice: bool) -> Any:
    """The factorial, or the double one; `Refused` of a large number, of none that has one, or of a factorial."""
    _check_small(base)
    if base.has(sympy.factorial, sympy.factorial2) or base.is_negative:
        raise Refused
    return (sympy.factorial2 if twice else sympy.factorial)(base)


def safe_binomial(top: Any, bottom: Any) -> Any:
    """The binomial coefficient; `Refused` of large numbers, or of none that have one."""
    _check_small(top, bottom)
    return sympy.binomial(top, bottom)


def safe_power(base: Any, exponent: Any) -> Any:
    """The power; `Refused` where working it out is not cheap."""
    if base.is_number and exponent.is_number:
        size = abs(exponent) if exponent.is_Rational else 64
        bits = max(abs(base.p).bit_length(), base.q.bit_length()) if base.is_Rational else 64
        if size * max(bits, 1) > _NUMBER_BITS:
            raise Refused
        return sympy.Pow(base, exponent, evaluate=exponent.is_Integer or not exponent.is_Rational or bits <= 300)
    if exponent.is_number and (not exponent.is_Rational or abs(exponent) > _MAX_ARGUMENT):
        raise Refused
    return sympy.Pow(base, exponent)


def value_of(name: str, arguments: list[Any], base: Any = None, exponent: Any = None) -> Any:
    """A function's value, `log` to its base or to 10, raised to a power; to the power of −1 the inverse function's."""
    if len(arguments) != 1 and name not in OF_SEVERAL:
        raise Unreadable
    if exponent == -1 and (inverse := getattr(sympy, f"a{name}", None)):
        return inverse(*arguments)
    function = _OTHER_NAMES.get(name) or getattr(sympy, name.replace("arc", "a", 1))
    value = function(*arguments) if base is None else function(*arguments, base)
    return value if exponent is None else safe_power(value, exponent)
