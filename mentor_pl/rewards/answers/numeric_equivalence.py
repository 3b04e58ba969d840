"""Whether two expressions in variables are the same function, by values at fixed points.

Two different expressions of the kind that answers are made of do not agree at a dozen unrelated points, and evaluating
takes milliseconds where simplification may take minutes. Only points where both are real and finite count, or complex
where one of them holds the imaginary unit; below `ENOUGH` of them there is no verdict.
"""

from __future__ import annotations

from typing import Any

import sympy

ENOUGH = 4
_DIGITS = 20
_TOLERANCE = sympy.Float("1e-12", _DIGITS)
_VARIABLES = 12  # at most
_ROWS = 4  # points of each kind


def _points() -> list[list[Any]]:
    """Fixed points: proper fractions, larger numbers, negative ones, integers. Each suits some expressions only."""
    rows: list[list[Any]] = []
    for row in range(_ROWS):
        shares = [
            sympy.Rational((7919 * (row + 1) + 389 * (column + 1) ** 2) % 997, 997) for column in range(_VARIABLES)
        ]
        rows.append(shares)
        rows.append([1 + 4 * share for share in shares])
        rows.append([share * (-3 if (row + column) % 2 else 3) for column, share in enumerate(shares)])
        rows.append([sympy.Integer(1 + (5 * row + 7 * column + row * column) % 9) for column in range(_VARIABLES)])
    return rows


_POINTS = _points()


def same_function(a: Any, b: Any) -> bool | None:
    """The verdict on two scalar expressions over the same variables, or None where too few points count."""
    symbols = sorted(a.free_symbols | b.free_symbols, key=str)
    if not symbols or len(symbols) > _VARIABLES:
        return None
    counted, imaginary = 0, a.has(sympy.I) or b.has(sympy.I)
    for point in _POINTS:
        place = dict(zip(symbols, point, strict=False))
        x, y = _numeric_value(a, place, imaginary), _numeric_value(b, place, imaginary)
        if x is None or y is None:
            continue
        if abs(x - y) > _TOLERANCE * max(abs(x), abs(y)):
            return False
        counted += 1
    return True if counted >= ENOUGH else None


def _numeric_value(expression: Any, place: dict[Any, Any], imaginary: bool) -> Any:
    """The value as a number of 20 digits, or None."""
    try:
        value = expression.xreplace(place).doit().evalf(_DIGITS)
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        return None
    parts = value.as_real_imag() if imaginary else (value,)
    return value if all(part.is_Float or part.is_Integer for part in parts) and value.is_finite else None
