r"""Reads everyday algebra itself, some ten times faster than latex2sympy: sums, products, powers, fractions, roots.

    sum      := ["+" | "-"] product (("+" | "-") product)*
    product  := power ((["*" | "\cdot" | "\times"] | "/") power)*
    power    := atom ["^" (digits | letter | "{" sum "}")]
    atom     := number | letter | \pi … | "(" sum ")" | "\frac" {sum} {sum} | "\sqrt" ["[" digits "]"] {sum}

The expression is the one that latex2sympy would read. Whatever could be read in two ways, such as `1/2x`, `x(y)` or
`2\frac12`, is left to it, as is all else: then the result is None.
"""

from __future__ import annotations

import re
from typing import Any

import sympy

_POWER_BITS = 2_000  # of a power that is worked out here
_LEXEME = re.compile(r"\s*(\d+\.\d+|\.\d+|\d+|[a-z]|\\[a-zA-Z]+|[-+*/^(){}\[\]])")
_PRODUCTS = frozenset(("*", r"\cdot", r"\times"))
_GREEK = ("alpha", "beta", "gamma", "delta", "theta", "phi", "mu", "lambda", "omega", "rho", "sigma", "tau", "varphi")
_SYMBOLIC: dict[str, Any] = {f"\\{name}": sympy.Symbol(name, real=True) for name in _GREEK}
_SYMBOLIC |= {
    letter: sympy.Symbol(letter, real=True) for letter in "abcfghjklmnopqrstuvwxyz"
}  # d may be a differential
_SYMBOLIC |= {r"\pi": sympy.pi, "e": sympy.E, "i": sympy.I}
_END = ""


class _NotHere(Exception):
    """Not of this grammar, or not unambiguously."""


def read_everyday(text: str) -> Any:
    """The expression, or None where the text is not of the grammar."""
    if re.search(r"\d\s+[\d.]", text):  # 2 1 is neither 21 nor a product
        return None
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _LEXEME.match(text, position)
        if match is None:
            return None
        tokens.append(match[1])
        position = match.end()
    parser = _Parser([*tokens, _END])
    try:
        expression = parser.sum()
    except (_NotHere, RecursionError):
        return None
    return expression if parser.next == _END else None


class _Parser:
    """A recursive descent over tokens; the caller bounds their nesting."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0

    @property
    def next(self) -> str:
        """The token at hand."""
        return self.tokens[self.position]

    def accept(self, wanted: str = "") -> str:
        """The token at hand, which is passed; another than `wanted` is not of the grammar."""
        token = self.next
        if token == _END or (wanted and token != wanted):
            raise _NotHere
        self.position += 1
        return token

    def sum(self) -> Any:
        """Products with signs between them."""
        terms: list[Any] = []
        while True:
            sign = self.accept() if self.next in ("+", "-") else ""
            if terms and not sign:
                return sympy.Add(*terms)
            terms.append(-self.product() if sign == "-" else self.product())

    def product(self) -> Any:
        """Powers side by side, with a sign of multiplication, or over a single divisor."""
        result = self.power()
        while self.next not in ("+", "-", ")", "}", "]", _END):
            sign = self.accept() if self.next in _PRODUCTS or self.next == "/" else ""
            factor = self.power()
            if sign == "/":
                if self.next not in ("+", "-", ")", "}", _END):
                    raise _NotHere
                factor = sympy.Pow(factor, -1)
            elif not sign and factor.is_Number:  # x2 is not 2x, and 2\frac12 no product
                raise _NotHere
            result = sympy.Mul(result, factor)
        return result

    def power(self) -> Any:
        """An atom, perhaps raised to a power that is cheap to work out."""
        simple = self.next not in (r"\frac", r"\sqrt")
        base = self.atom()
        if self.next != "^":
            return base
        self.accept()
        exponent = self.group() if self.next == "{" else self.atom(script=True)
        if not simple or self.next == "^":
            raise _NotHere
        if base.is_number and not (base.is_Rational or base in (sympy.pi, sympy.E, sympy.I)):
            raise _NotHere
        if exponent.is_number and not (exponent.is_Rational and abs(exponent) * _exponent_bits(base) <= _POWER_BITS):
            raise _NotHere
        return sympy.Pow(base, exponent)

    def atom(self, script: bool = False) -> Any:
        """A number, a letter, brackets, a fraction or a root; as a script without braces the first two only."""
        token = self.accept()
        if token[0].isdigit() or token[0] == ".":
            return sympy.Rational(token)
        if token in _SYMBOLIC:
            if self.next == "(" and token != r"\pi":  # a product or a function
                raise _NotHere
            return _SYMBOLIC[token]
        if script:
            raise _NotHere
        if token == "(":
            inside = self.sum()
            self.accept(")")
            return inside
        if token == r"\frac":
            top = self.group()
            return sympy.Mul(top, sympy.Pow(self.group(), -1))
        if token == r"\sqrt":
            order = 2
            if self.next == "[":
                self.accept()
                order = int(self.accept()) if re.fullmatch(r"[2-9]", self.next) else 0
                self.accept("]")
            if not order:
                raise _NotHere
            return sympy.Pow(self.group(), sympy.Rational(1, order))
        raise _NotHere

    def group(self) -> Any:
        """A sum in braces."""
        self.accept("{")
        inside = self.sum()
        self.accept("}")
        return inside


def _exponent_bits(base: Any) -> int:
    return max(abs(base.p).bit_length(), base.q.bit_length()) if base.is_Rational else 1
