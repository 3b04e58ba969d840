"""Whether two numbers or formulas are the same: exactly, as decimals by convention, or by their values at many points.

Two different formulas of the kind that answers are made of do not agree to 45 digits at a dozen unrelated points, and
evaluating takes milliseconds where simplification may take minutes. Only points where both are real and finite count,
or complex where one of them holds the imaginary unit.
"""

from __future__ import annotations

import random
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
    ours, theirs = answer.expression, reference.expression
    a, b = answer.unit, reference.unit
    bare = [not unit.free_symbols for unit in (a, b)]
    if answer.percent != reference.percent and not bare[answer.percent]:
        return False  # of a percentage and a measure
    if not any(bare):
        if (a / b).free_symbols:
            return False
        ours *= a / b
    elif not all(bare):
        degrees = DEGREE in (a, b)
        if degrees and (ours.has(sympy.pi) or theirs.has(sympy.pi)):
            ours, theirs = (x * sympy.pi / 180 if unit == DEGREE else x for x, unit in ((ours, a), (theirs, b)))
        elif rules.units == "require":
            return False
    if (letters := _periods(ours, theirs)) is not None:
        ours = ours.xreplace(letters)
    if ours == theirs and answer.percent == reference.percent:
        return True
    if ours.is_number and theirs.is_number:
        pairs = [(ours, theirs)]
        if answer.percent != reference.percent:
            hundredth = (ours / 100, theirs) if answer.percent else (ours * 100, theirs)
            pairs = [hundredth] if rules.percent == "exact" else [*pairs, hundredth]
        return any(_same_number(x, y, answer.places, reference.places, rules) for x, y in pairs)
    return False if answer.percent != reference.percent else same_function(ours, theirs)


def _periods(a: Any, b: Any) -> dict[Any, Any] | None:
    r"""Where both are general solutions, as \frac{\pi}{4} + k\pi, the one's integer for the other's."""
    if len(a.free_symbols) != 1 or len(b.free_symbols) != 1 or a.free_symbols == b.free_symbols:
        return None
    (n,), (k,) = a.free_symbols, b.free_symbols
    periods = a.diff(n), b.diff(k)
    return {n: k} if all(period.is_number and period.has(sympy.pi) for period in periods) else None


def _same_number(ours: Any, theirs: Any, our_places: int | None, their_places: int | None, rules: Conventions) -> bool:
    if ours == theirs:
        return True
    x, y = (value if value.is_Rational else _numeric(value) for value in (ours, theirs))
    if not (x.is_finite and y.is_finite):
        return False
    if not (x.is_comparable and y.is_comparable):
        return bool(abs(x - y) <= abs(y) * _RELATIVE)
    if not (x.is_Rational and y.is_Rational) and abs(x - y) <= min(abs(y), 1) * _RELATIVE:
        return True
    if rules.tolerance > 0 and abs(x - y) <= sympy.Float(rules.tolerance) * abs(y):
        return True
    return (our_places is None and _stands_for(y, their_places, x, rules.decimals != "exact")) or (
        their_places is None and _stands_for(x, our_places, y, rules.decimals == "either")
    )


def _numeric(value: Any) -> Any:
    """The value to 60 digits, behind the point where it is large: 2^{2008} + 2 is not 2^{2008} - 2."""
    rough = sympy.N(value, _DIGITS)
    large = bool(rough.is_Float and rough.is_finite and abs(rough) > 10)
    return sympy.N(value, _DIGITS + int(sympy.log(abs(rough), 10))) if large else rough


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
    """The verdict on two formulas over the same variables, or None where too few points count.

    A letter before a bracket is a factor where it stands alone in either of the two, and else a function.
    """
    called = a.has(AppliedUndef) or b.has(AppliedUndef)
    a, b = _without_calls(a, b)
    letters = sorted(a.free_symbols | b.free_symbols, key=str)
    if called and not letters:
        return bool(abs(sympy.N(a - b, _DIGITS)) < _RELATIVE)
    if not letters or len(letters) > _VARIABLES:
        return None
    counted, imaginary = 0, a.has(sympy.I) or b.has(sympy.I)
    for point in _POINTS:
        place = dict(zip(letters, point, strict=False))
        x, y = _at(a, place, imaginary), _at(b, place, imaginary)
        if x is None or y is None:
            continue
        if abs(x - y) > _RELATIVE * max(abs(x), abs(y)):
            return False
        counted += 1
    return True if counted >= _ENOUGH else None


def _without_calls(*expressions: Any) -> list[Any]:
    """With a fixed function in place of one without a definition, or, where its letter stands alone, a product."""
    alone = {letter.name for expression in expressions for letter in expression.free_symbols}
    found = []
    for expression in expressions:
        for call in sorted(expression.atoms(AppliedUndef), key=lambda call: call.count_ops()):
            name, inside = call.func.__name__, call.args
            seed = sympy.Rational(sum(map(ord, name)) % 89, 89)
            if name in alone and len(inside) == 1:
                made = sympy.Symbol(name, real=True) * inside[0]
            else:
                made = sum((sympy.cos(part + seed + n) + part / 3 for n, part in enumerate(inside)), sympy.Integer(0))
            expression = expression.xreplace({call: made})
        found.append(expression)
    return found


def same_equation(a: Any, b: Any, signed: bool) -> bool | None:
    """Whether `a = 0` and `b = 0` are one equation, or `a < 0` and `b < 0` one inequality: a is a multiple of b."""
    a, b = _without_calls(a, b)
    letters = a.free_symbols | b.free_symbols
    ratios = [
        (_at(a, place, False), _at(b, place, False))
        for place in (dict(zip(sorted(letters, key=str), p, strict=False)) for p in _POINTS)
    ]
    found = [x / y for x, y in ratios if x is not None and y is not None and y != 0]
    if not letters:
        return bool(a == b)
    if len(found) < _ENOUGH or a.free_symbols != b.free_symbols:
        return None if a.free_symbols == b.free_symbols else False
    same = all(abs(ratio - found[0]) <= abs(found[0]) * _RELATIVE for ratio in found)
    return bool(found[0] > 0 or (not signed and found[0] != 0)) if same else None


def _at(expression: Any, place: dict[Any, Any], imaginary: bool) -> Any:
    """The value at a point to 60 digits, or None."""
    try:
        value = expression.xreplace(place).doit().evalf(_DIGITS)
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        return None
    parts = value.as_real_imag() if imaginary else (value,)
    return value if all(part.is_Float or part.is_Integer for part in parts) and value.is_finite else None
