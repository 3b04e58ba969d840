r"""Equality by algebra: latex2sympy reads what `grammar` does not, values at fixed points and math-verify compare,
and a screen keeps hopeless expressions out.

Departures from math-verify's own `parse` and `verify`: an answer is read as a whole or not at all (math-verify falls
back to the last number in it, so that `3^{10^8} \bmod 7` reads as 7), and constants are compared with a relative
tolerance (math-verify rounds to six decimal places, so that 2e-7 equals 1e-7).
"""

from __future__ import annotations

import logging
import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy
from math_verify import parse, verify
from math_verify.parser import LatexExtractionConfig, NormalizationConfig
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanAtom

from mentor_pl.rewards.answers import numbers
from mentor_pl.rewards.answers.grammar import read_everyday
from mentor_pl.rewards.answers.numbers import Number
from mentor_pl.rewards.answers.numeric_equivalence import same_function
from mentor_pl.rewards.answers.text import NESTING, nesting

logging.getLogger("math_verify").setLevel(logging.ERROR)  # its notes on absent timeouts: the pool keeps the deadline
logging.getLogger("latex2sympy2_extended").setLevel(logging.ERROR)

# Units are the business of `units`: math-verify would drop the s of 2s and the t of t/m.
_LATEX = (
    LatexExtractionConfig(normalization_config=NormalizationConfig(malformed_operators=True, nits=True, boxed="none")),
)
_STEPS = 120  # operators and commands in a text; the parser's time grows faster than their number
_NUMBER_BITS = 50_000  # of the largest number that is worked out
_MAX_EXPONENT = 40  # exponent of a sum that is expanded
_NODES = 600  # parts of an expression
_NAMED = re.compile(
    r"(?<![a-zA-Z\\])(pi|sqrt|sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|log|ln|exp|infty|theta|alpha|beta|lambda|cdot|"
    r"frac|binom|times|cup|cap)(?![a-zA-Z])"
)
_COMMAND = re.compile(r"\\(?:begin|end)\{[a-zA-Z]+\}|\\[a-zA-Z]+")
_ANY_WORD = re.compile(r"[a-zA-Z]{5,}")
_LETTERS = re.compile(r"\s*(?:\\(?:angle|triangle)\s*)?(?:[A-Z]{3,}|[a-z]{4,})\s*")  # ABC is not ACB
_OPERATORS = re.compile(r"\\[a-zA-Z]+|[-+*/^=<>!]")
_PRIMES = re.compile(r"(?<=[a-zA-Z)}'])\s*(?:'|\^\{?\\prime)")  # latex2sympy drops them
_PLAIN_ROOT = re.compile(r"\\sqrt\s*\(([^()]*)\)")
_PLAIN_LOG = re.compile(r"\\log_\{?(\d+)\}?\s+(\d+)")
_UNSAFE = re.compile(
    r"\\(?:def|newcommand|let|input|include|write|loop|begin\{(?!(?:[pbvBV]?matrix|array|cases)\})|sum|prod|int|lim|"
    r"bmod|pmod|[lcd]?dots)(?![a-zA-Z])|\\binom[\s{]*\d{4}|\^\{?(?:T(?![a-zA-Z])|\\top|\*)|\.\.\."
)


def algebra_equal(ours: str, theirs: str, percent: str, decimals: str, tolerance: float) -> bool:
    """Whether two tidied texts are the same mathematics. May run without bound: for workers only."""
    if not (_readable(ours) and _readable(theirs)) or len(_PRIMES.findall(ours)) != len(_PRIMES.findall(theirs)):
        return False
    b = _read_expression(theirs)
    a = None if b is None else _read_expression(ours)
    if a is None or b is None or not (_small(a) and _small(b)):
        return False
    if a == b:
        return True
    if _constant(a) and _constant(b):
        return _constants_equal(ours, a, theirs, b, percent, decimals, tolerance)
    if isinstance(a, sympy.Expr) and isinstance(b, sympy.Expr) and not isinstance(b, sympy.Symbol):
        verdict = same_function(a, b)
        if verdict is not None:
            return verdict
    if isinstance(a, Relational) != isinstance(b, Relational) and isinstance(b, Relational):
        return False
    return bool(verify(b, a, strict=True, allow_set_relation_comp=True, timeout_seconds=None))


def _readable(text: str) -> bool:
    """Whether reading the text can be expected to end."""
    if re.search(rf"\d{{{numbers.DIGITS},}}", text) or _UNSAFE.search(text):
        return False
    if re.search(
        r"\d\s+\d|(?<![\^\d])\d+\s*_", _PLAIN_LOG.sub("", text)
    ):  # 2 3, which latex2sympy adds up; the base of 37_8
        return False
    if _ANY_WORD.search(_COMMAND.sub(" ", _NAMED.sub(" ", text))):  # words, which have been compared as such
        return False
    if _LETTERS.fullmatch(text):
        return False
    return nesting(text) <= NESTING and len(_OPERATORS.findall(text)) <= _STEPS


@lru_cache(maxsize=512)  # a group of rollouts shares its reference
def _read_expression(text: str) -> Any:
    """The expression that the whole of `text` is, or None."""
    text = _NAMED.sub(r"\\\1 ", text)
    text = _PLAIN_ROOT.sub(r"\\sqrt{\1}", text)
    text = _PLAIN_LOG.sub(r"\\log_{\1}{\2}", text)
    everyday = read_everyday(text)
    if everyday is not None:
        return None if everyday.has(sympy.zoo, sympy.nan) else everyday
    found = parse(f"${text}$", _LATEX, fallback_mode="no_fallback", parsing_timeout=None)
    if len(found) != 1:
        return None
    expression = found[0]
    if not isinstance(expression, sympy.Basic):
        return expression if isinstance(expression, sympy.MatrixBase) else None
    if expression.has(sympy.zoo, sympy.nan):
        return None
    # Decimals as the fractions they spell: 0.5x is x/2, and no rounding decides between two constants.
    spelt: dict[Any, Any] = {number: sympy.Rational(str(number)) for number in expression.atoms(sympy.Float)}
    for symbol in expression.free_symbols:
        spelt[symbol] = sympy.I if symbol.name == "i" else sympy.Symbol(symbol.name, real=True)
    expression = expression.xreplace(spelt)
    return None if isinstance(expression, BooleanAtom) else expression  # x = (0, 1) turns into false


def _small(expression: Any) -> bool:
    """Whether every number in the expression stays below `_NUMBER_BITS` bits and every power is cheap to expand."""
    if isinstance(expression, sympy.MatrixBase):
        return len(expression) <= _NODES and all(_small(entry) for entry in expression)
    if not isinstance(expression, sympy.Basic):
        return False
    nodes = list(sympy.preorder_traversal(expression))
    return len(nodes) <= _NODES and all(_cheap(node) for node in nodes)


def _cheap(node: Any) -> bool:
    if isinstance(node, sympy.factorial | sympy.gamma | sympy.binomial | sympy.factorial2):
        return all(_magnitude(argument) <= 1000 for argument in node.args)
    if isinstance(node, sympy.Pow):
        base, exponent = node.args
        if not exponent.is_number:
            return len(list(sympy.preorder_traversal(exponent))) < 40
        size = _magnitude(exponent)
        if base.is_number:
            return size <= 10 or size * max(1.0, _bits(base)) <= _NUMBER_BITS
        return size <= (_MAX_EXPONENT if base.is_Add or base.is_Mul else 1000)
    return True


def _magnitude(number: Any) -> float:
    """|number|, infinity where it is too large to say."""
    if number.is_Integer or number.is_Rational or number.is_Float:
        return abs(float(number)) if abs(number) < 10**300 else float("inf")
    if not number.is_number:
        return 0.0
    if not all(_cheap(node) for node in sympy.preorder_traversal(number)):
        return float("inf")
    value = number.evalf(15)
    return abs(float(value)) if value.is_real and abs(value) < 10**300 else float("inf")


def _bits(number: Any) -> float:
    """Bits of a number or of its greatest part."""
    if number.is_Rational:
        return float(max(abs(number.p).bit_length(), number.q.bit_length()))
    return 64.0 if _magnitude(number) < 2**64 else float("inf")


def _constant(expression: Any) -> bool:
    return isinstance(expression, sympy.Expr) and bool(expression.is_number) and not expression.is_infinite


def _constants_equal(ours: str, a: Any, theirs: str, b: Any, percent: str, decimals: str, tolerance: float) -> bool:
    """Two constants, to 25 digits of their size, or behind the point of large ones; decimals as `numbers` does."""
    a, b = a.doit(), b.doit()
    x, y = (_numeric(value) for value in (a, b))
    if not (x.is_comparable and y.is_comparable):
        if x.is_finite and y.is_finite and (a.has(sympy.I) or b.has(sympy.I)):
            return bool(abs(x - y) <= abs(y) * sympy.Float("1e-25", 40))
        return bool(verify(b, a, strict=True, timeout_seconds=None))
    answer, reference = _as_number(ours, x), _as_number(theirs, y)
    if answer is None or reference is None:
        return False
    if abs(answer.value - reference.value) <= min(abs(reference.value), Fraction(1)) / 10**25:
        return True
    return numbers.equal_numbers(answer, reference, percent, decimals, tolerance)


def _numeric(value: Any) -> Any:
    """The value to 40 digits, behind the point where it is large: 2^{2008} + 2 is not 2^{2008} - 2."""
    if value.is_Rational:
        return value
    rough = sympy.N(value, 40)
    large = bool(rough.is_Float and rough.is_finite and abs(rough) > 10)
    return sympy.N(value, 40 + int(sympy.log(abs(rough), 10))) if large else rough


def _as_number(text: str, value: Any) -> Number | None:
    plain = numbers.read(text)
    if plain is not None:
        return plain
    if value.is_Float and not value.is_finite:
        return None
    exact = sympy.Rational(value)
    return Number(Fraction(int(exact.p), int(exact.q)), None)
