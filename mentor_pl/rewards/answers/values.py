"""Whether two numbers or formulas are the same: exactly, as decimals by convention, or by their values at many points.

Two different formulas of the kind that answers are made of do not agree to 45 digits at a dozen unrelated points, and
evaluating takes milliseconds where simplification may take minutes. Only points where both are real and finite count,
or complex where one of them holds the imaginary unit.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import sympy
from sympy.core.function import AppliedUndef

from mentor_pl.rewards.answers.answer import Value
from mentor_pl.rewards.answers.rules import Conventions
from mentor_pl.rewards.answers.units import DEGREE

LONG = 6  # significant digits from which a decimal stands for the exact number that rounds to it
ROUNDED = 3  # significant digits from which a decimal reference may be a rounded one
_DIGITS = 60
_RELATIVE = sympy.Float("1e-45", _DIGITS)
_ENOUGH = 4  # points
_VARIABLES = 12  # at most


# Proper fractions, larger numbers, some of them negative, integers: each suits some formulas only.
_KINDS = 4 * [(1, 996, 997, 1), (997, 4985, 997, 1), (1, 2991, 997, -1), (1, 31, 1, 1), (1, 31, 1, 1)]
_DRAW = random.Random(0)
_POINTS = [
    [sign ** (row + n) * sympy.Rational(_DRAW.randint(low, high), over) for n in range(_VARIABLES)]
    for row, (low, high, over, sign) in enumerate(_KINDS)
]


def same_value(answer: Value, reference: Value, rules: Conventions) -> bool | None:
    """Whether two values are the same under the conventions; None where it cannot be told."""
    ours, theirs = _without_calls(answer.expression, reference.expression)
    a, b = answer.unit, reference.unit
    bare = [not unit.free_symbols for unit in (a, b)]
    if answer.percent != reference.percent and (not bare[answer.percent] or ours.free_symbols or theirs.free_symbols):
        return False  # of a percentage and a measure or a formula
    if not any(bare):
        if (a / b).free_symbols:
            return False
        ours *= a / b
    elif DEGREE in (a, b) and (ours.has(sympy.pi) or theirs.has(sympy.pi)):
        ours, theirs = (x * sympy.pi / 180 if unit == DEGREE else x for x, unit in ((ours, a), (theirs, b)))
    elif rules.units == "require" and not all(bare):
        return False
    ours = _with_its_integer(ours, theirs)
    hundredth = ours * sympy.Integer(100) ** (reference.percent - answer.percent)
    verdicts = []
    for one in {hundredth, ours if rules.percent == "optional" else hundredth}:
        numbers = one.is_number and theirs.is_number
        verdicts.append(
            one == theirs
            or (_same_number(one, answer, theirs, reference, rules) if numbers else same_function(one, theirs))
        )
    return True if True in verdicts else None if None in verdicts else False


def _with_its_integer(a: Any, b: Any) -> Any:
    r"""Where both are general solutions, as \frac{\pi}{4} + k\pi, the first with the integer of the second."""
    if len(a.free_symbols) == len(b.free_symbols) == 1:
        (n,), (k,) = a.free_symbols, b.free_symbols
        if all(period.is_number and period.has(sympy.pi) for period in (a.diff(n), b.diff(k))):
            return a.xreplace({n: k})
    return a


def _same_number(ours: Any, answer: Value, theirs: Any, reference: Value, rules: Conventions) -> bool:
    x, y = (value if value.is_Rational else _numeric(value) for value in (ours, theirs))
    if not (x.is_finite and y.is_finite):
        return False
    if not (x.is_comparable and y.is_comparable):
        return bool(abs(x - y) <= abs(y) * _RELATIVE)
    if not (x.is_Rational and y.is_Rational) and abs(x - y) <= min(abs(y), 1) * _RELATIVE:
        return True
    if rules.tolerance > 0 and abs(x - y) <= sympy.Float(rules.tolerance) * abs(y):
        return True
    return (answer.places is None and _stands_for(y, reference.places, x, rules.decimals != "exact")) or (
        reference.places is None and _stands_for(x, answer.places, y, rules.decimals == "either")
    )


def _numeric(value: Any) -> Any:
    """The value to 60 digits, behind the point where it is large: 2^{2008} + 2 is not 2^{2008} - 2."""
    rough = sympy.N(value, _DIGITS)
    large = bool(rough.is_Float and rough.is_finite and abs(rough) > 10)
    return sympy.N(value, _DIGITS + len(str(int(abs(rough))))) if large else rough


def _stands_for(decimal: Any, places: int | None, exact: Any, rounded: bool) -> bool:
    """Whether a decimal is `exact` rounded to its places.

    A decimal of `LONG` significant digits always may be; a shorter one, from `ROUNDED` on, where `rounded` says so.
    An exact number with no more places than the decimal has is not rounded, but another number.
    """
    if not places or not decimal.is_Rational or (exact.is_Integer and not decimal.is_Integer):
        return False
    significant = len(str(abs(int(decimal * 10**places))))
    return significant >= (ROUNDED if rounded else LONG) and bool(abs(exact - decimal) * 2 * 10**places <= 1)


def same_function(a: Any, b: Any) -> bool | None:
    """The verdict on two formulas over the same variables, or None where too few points count."""
    counted = 0
    for x, y in _samples(a, b):
        if abs(x - y) > _RELATIVE * max(abs(x), abs(y)):
            return False
        counted += 1
    return True if counted >= _ENOUGH else None


def same_equation(a: Any, b: Any, signed: bool) -> bool | None:
    """Whether `a = 0` and `b = 0` are one equation, or `a < 0` and `b < 0` one inequality: a is a multiple of b."""
    a, b = _without_calls(a, b)
    if a.free_symbols != b.free_symbols or not a.free_symbols:
        return bool(a == b)
    ratios = [x / y for x, y in _samples(a, b) if y != 0]
    if len(ratios) < _ENOUGH or any(abs(ratio - ratios[0]) > abs(ratios[0]) * _RELATIVE for ratio in ratios):
        return None
    return bool(ratios[0] > 0 or (not signed and ratios[0] != 0))


def _without_calls(*expressions: Any) -> list[Any]:
    """With a fixed function in place of one without a definition, or, where its letter stands alone, a product."""
    alone = {letter.name for expression in expressions for letter in expression.free_symbols}

    def made(call: Any) -> Any:
        name, inside = call.func.__name__, call.args
        if name in alone and len(inside) == 1:
            return sympy.Symbol(name, real=True) * inside[0]
        seed = sympy.Rational(sum(map(ord, name)) % 89, 89)
        return sympy.Add(*(sympy.cos(part + seed + n) + part / 3 for n, part in enumerate(inside)))

    return [expression.replace(lambda one: isinstance(one, AppliedUndef), made) for expression in expressions]


def _samples(a: Any, b: Any) -> Iterator[tuple[Any, Any]]:
    """The values of two formulas at each point where both have one."""
    letters = sorted(a.free_symbols | b.free_symbols, key=str)
    for point in _POINTS if 0 < len(letters) <= _VARIABLES else ():
        place = dict(zip(letters, point, strict=False))
        x, y = (_at(one, place, a.has(sympy.I) or b.has(sympy.I)) for one in (a, b))
        if x is not None and y is not None:
            yield x, y


def _at(expression: Any, place: dict[Any, Any], imaginary: bool) -> Any:
    """The value at a point to 60 digits, or None."""
    try:
        value = expression.xreplace(place).doit().evalf(_DIGITS)
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        return None
    parts = value.as_real_imag() if imaginary else (value,)
    return value if all(part.is_Float or part.is_Integer for part in parts) and value.is_finite else None
