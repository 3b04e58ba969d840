"""Powers, factorials and binomial coefficients that are cheap to work out, and what a formula cannot be read for."""

from __future__ import annotations

from typing import Any

import sympy

_NUMBER_BITS = 50_000  # of the largest number that is worked out
_MAX_ARGUMENT = 3000  # of a factorial


class Unreadable(Exception):
    """Not of this grammar, or not unambiguously."""


class Ambiguous(Unreadable):
    """To be read in two ways."""


class TooLarge(Unreadable):
    """A number that would take too long to work out."""


def safe_factorial(base: Any, twice: bool) -> Any:
    """The factorial, or the double one.

    Raises:
        TooLarge: of a large number, of none that has one, or of a factorial.
    """
    if base.has(sympy.factorial, sympy.factorial2) or (
        base.is_number and not (base.is_Integer and 0 <= base <= _MAX_ARGUMENT)
    ):
        raise TooLarge
    return (sympy.factorial2 if twice else sympy.factorial)(base)


def safe_power(base: Any, exponent: Any) -> Any:
    """The power, if working it out is cheap.

    Raises:
        TooLarge: it is not.
    """
    if base.is_number and exponent.is_number:
        size = abs(exponent) if exponent.is_Rational else sympy.Integer(64)
        bits = max(abs(base.p).bit_length(), base.q.bit_length()) if base.is_Rational else 64
        if size * max(bits, 1) > _NUMBER_BITS:
            raise TooLarge
        if exponent.is_Rational and not exponent.is_Integer and bits > 300:
            return sympy.Pow(base, exponent, evaluate=False)
    elif exponent.is_number and (not exponent.is_Rational or abs(exponent) > _MAX_ARGUMENT):
        raise TooLarge
    return sympy.Pow(base, exponent)


def safe_binomial(top: Any, bottom: Any) -> Any:
    """The binomial coefficient, if working it out is cheap."""
    if any(part.is_number and not (part.is_Integer and abs(part) <= _MAX_ARGUMENT) for part in (top, bottom)):
        raise TooLarge
    return sympy.binomial(top, bottom)
