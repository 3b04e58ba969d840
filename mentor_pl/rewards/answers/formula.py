r"""Reads values as sympy's expressions: sums, products, powers, fractions, roots, functions, bars, factorials, units.

    sum      := [sign] product (sign product)*
    product  := power (("*" | "/" | nothing) power)*
    power    := (atom | unit) ("!" | "^" argument)*
    function := name ["_" argument] ["^" argument] ("(" sum ")" | power power …)

A function without brackets takes the factors up to the next sign of an operation or the next function: `\ln 2 \cdot 3`
is 3 ln 2, and `\sin 2x` is sin(2x). What can be read in two ways, such as `1/2x` or `2 3`, is refused.
"""

from __future__ import annotations

import re
from typing import Any

import sympy
from sympy.printing.pretty.pretty_symbology import greek_unicode

from mentor_pl.rewards.answers.functions import (
    OF_SEVERAL,
    Refused,
    Unreadable,
    safe_binomial,
    safe_factorial,
    safe_power,
    value_of,
)
from mentor_pl.rewards.answers.lexer import FUNCTIONS
from mentor_pl.rewards.answers.tokens import Token, Tokens, compact, split
from mentor_pl.rewards.answers.units import CURRENCIES, MONEY, POWERS, is_unit_word, letters_apart, unit_of

_LETTERS = greek_unicode.keys() | {"varepsilon", "vartheta", "varrho", "varphi", "hbar", "ell"}
_CONSTANTS = {r"\pi": sympy.pi, "e": sympy.E, "i": sympy.I, r"\infty": sympy.oo}
_ACCENTS = frozenset((r"\bar", r"\overline", r"\dot", r"\ddot", r"\hat", r"\vec", r"\tilde"))
_IN_BRACKETS: dict[str, Any] = {
    **dict.fromkeys(("()", "[]", "{}"), lambda x: x), r"\lfloor\rfloor": sympy.floor, r"\lceil\rceil": sympy.ceiling
}  # fmt: skip
_MAX_TOKENS = 250
_FUNCTION_LETTERS = frozenset(("f", "g", "h", "F", "G", "H", "P", "zeta", "J_0"))
_MIXED = re.compile(r"(?:\\frac\{(\d+)\}\{|(\d+)/)0*([1-9]\d*)\}?")
_END = Token("")
_OPERATORS = frozenset(("", "+", "-", r"\pm", r"\mp", "*", "/", "per", "^", "!", "'", "_", ","))


def formula(tokens: Tokens) -> Any:
    """The formula that all of the tokens are, or else `Unreadable`."""
    return FormulaReader(tokens).whole()


def symbol(name: str) -> Any:
    """A variable, which is real."""
    return sympy.Symbol(name, real=True)


class FormulaReader:
    """A recursive descent over the tokens of one pair of brackets, or of none.

    Attributes:
        signs: what a product is multiplied by behind each sign, those that stand for two signs among them.
        units: whether units may stand here.
        measured: where the first of them stands, behind the end if there is none.
    """

    def __init__(self, tokens: Tokens, units: bool = False, both: int = 1) -> None:
        self.tokens = letters_apart(tokens)
        self.place, self.bars = 0, False
        self.signs = {"+": 1, "-": -1, r"\pm": both, r"\mp": -both}
        self.units, self.measured = units, len(self.tokens)
        if len(self.tokens) > _MAX_TOKENS:
            raise Refused

    @property
    def next(self) -> Token:
        """The token at hand, empty at the end."""
        return self.tokens[self.place] if self.place < len(self.tokens) else _END

    def accept(self, wanted: str = "") -> Token:
        """The token at hand, which is passed; another than `wanted` is not of the grammar."""
        token = self.next
        if not token or (wanted and token != wanted):
            raise Unreadable
        self.place += 1
        return token

    def accepted(self, *wanted: str) -> str:
        """The token at hand, passed if it is one of `wanted`, or else nothing."""
        return self.accept() if self.next and self.next in wanted else ""

    def whole(self) -> Any:
        """The sum that all of the tokens are."""
        found = self.sum()
        if self.next:
            raise Unreadable
        return found

    def inside(self) -> Any:
        """The sum in the brackets at hand, which may be units where units stand before."""
        reader = FormulaReader(self.accept().inside, self.place > self.measured + 1, self.signs[r"\pm"])
        reader.measured = -1
        return reader.whole()

    def sum(self) -> Any:
        """Products with signs before and between them."""
        terms: list[Any] = []
        while not terms or self.next in self.signs:
            sign = 1
            while one := self.accepted(*self.signs):
                sign *= self.signs[one]
            terms.append(sign * self.product())
        return sympy.Add(*terms)

    def product(self) -> Any:
        """Powers side by side, with a sign of multiplication, or over a divisor."""
        result, divided = self.power(), False
        while sign := self.accepted("*", "/", "per") or (self.starts_factor() and "beside"):
            if sign == "per":
                self.measured = min(self.measured, self.place - 1)
            elif sign == "beside" and not self.at_unit() and (divided or self.number_beside()):
                raise Refused
            factor = -self.power() if sign != "beside" and self.accepted("-") else self.power()
            divided = sign in ("/", "per")
            result = sympy.Mul(result, sympy.Pow(factor, -1) if divided else factor)
        return result

    def starts_factor(self) -> bool:
        """Whether a factor without a sign begins here."""
        return self.next not in _OPERATORS and not (self.bars and self.next == "|")

    def number_beside(self) -> bool:
        """Whether a number stands behind a number or a letter: 2 3 is neither 23 nor 6, and x2 is not 2x."""
        before = self.tokens[self.place - 1]
        beside = self.next[0].isdigit() and (before[-1].isalnum() or not self.next.gap)
        return beside and not before.kind and before not in ("!", "|")

    def power(self) -> Any:
        """An atom or a unit with what stands behind it."""
        base = self.unit() if self.at_unit() else self.atom()
        while True:
            if self.accepted("!"):
                base = safe_factorial(base, bool(self.accepted("!")))
            elif self.next == "^":
                base = self.raised(base)
            elif not self.units and self.accepted("°"):
                base *= sympy.pi / 180
            else:
                return base

    def raised(self, base: Any) -> Any:
        """The power of a base, from the right."""
        self.accept("^")
        exponent = self.inside()
        return safe_power(base, self.raised(exponent) if self.next == "^" else exponent)

    def at_unit(self) -> bool:
        """Whether a unit begins here: behind a factor, or behind other units."""
        before = self.tokens[self.place - 1] if self.place else "+"
        behind = before not in ("+", "-", "*", "/") or self.place > self.measured
        return self.units and behind and is_unit_word(self.next)

    def unit(self) -> Any:
        """A unit of one word, `square feet`, or a noun with its adjectives."""
        word = self.accept()
        self.measured = min(self.measured, self.place - 1)
        if self.accepted("_"):  # solar masses
            self.accept()
        if self.next in (".", "-") and any(map(is_unit_word, self.tokens[self.place + 1 : self.place + 2])):
            self.place += 1
        if word.casefold() in POWERS and self.at_unit():
            return self.unit() ** POWERS[word.casefold()]
        found = unit_of(word, adjective=self.next.isalpha())
        if found is None:
            raise Unreadable
        return found

    def atom(self) -> Any:
        """A number, a letter, a function's value, or something in brackets."""
        if self.next.kind in _IN_BRACKETS:
            return _IN_BRACKETS[self.next.kind](self.inside())
        token = self.accept()
        name = token.removeprefix("\\")
        if token[0].isdigit() or (token[0] == "." and len(token) > 1):
            return self.number(token)
        if name in FUNCTIONS and token != name:
            return self.function(name)
        if token == "|":
            outer, self.bars = self.bars, True
            size = sympy.Abs(self.sum())
            self.bars = outer
            self.accept("|")
            return size
        if token in (r"\frac", r"\binom"):
            heads = [compact(one.inside)[:1] for one in self.tokens[self.place : self.place + 2]]
            a, b = self.inside(), self.inside()
            if heads == ["d", "d"]:  # a derivative
                raise Refused
            return a * sympy.Pow(b, -1) if token == r"\frac" else safe_binomial(a, b)
        if token == r"\sqrt":
            order = self.inside() if self.next.kind == "[]" else sympy.Integer(2)
            root = self.inside()
            sign = -1 if order.is_odd and root.is_negative else 1
            return sign * safe_power(sign * root, 1 / order)
        if token == "_":  # {}_5 C_2
            top = self.inside()
            self.accept("C")
            self.accept("_")
            return safe_binomial(top, self.inside())
        if token in CURRENCIES:
            self.accepted(".")
            return self.power() * MONEY
        if token in _ACCENTS or token == r"\angle":
            return self.variable(token + compact(self.accept().inside or self.tokens[self.place - 1 : self.place]))
        if token in _CONSTANTS or name in _LETTERS or (token.isalpha() and (len(token) == 1 or token.isupper())):
            return self.variable(name, _CONSTANTS.get(token))
        raise Unreadable

    def number(self, token: Token) -> Any:
        """A decimal with its period, a mixed number, or a number as it stands."""
        value, decimals = sympy.Rational(token), token.partition(".")[2]
        if "." in token and self.next in (r"\overline", r"\bar", r"\dot", r"\dots"):
            endless = self.accept() == r"\dots"
            repeated = decimals[-1:] if endless and decimals[-2:] == 2 * decimals[-1:] else ""
            period = repeated if endless else compact(self.accept().inside)
            if not period.isdigit():
                raise Refused
            return value + sympy.Rational(int(period), (10 ** len(period) - 1) * 10 ** len(decimals))
        mixed = _MIXED.fullmatch(compact(self.tokens[self.place : self.place + 3])) if token.isdigit() else None
        if mixed:
            self.place += 3
            return value + sympy.Rational(int(mixed[1] or mixed[2]), int(mixed[3]))
        return value

    def variable(self, name: str, constant: Any = None) -> Any:
        """A letter with its index and its primes, or a function's value; a constant has neither."""
        plain = name
        if self.accepted("_"):
            name += "_" + compact(self.accept().inside)
        while self.accepted("'"):
            name += "'"
        inside = self.next.inside if self.next.kind == "()" else ()
        if inside and (name in _FUNCTION_LETTERS or (len(inside) == 1 and inside[0].isdigit())):
            return sympy.Function(name)(*self.values())
        return symbol(name) if constant is None or name != plain else constant

    def function(self, name: str) -> Any:
        """A function's value, with its base, its power and its argument."""
        scripts: dict[str, Any] = {}
        while self.next in ("_", "^"):
            sign = self.accept()
            scripts[sign] = self.inside()
        if self.next.kind in ("()", "[]") or (name in OF_SEVERAL and self.next.kind):
            arguments = self.values()
        else:
            outer, self.units = self.units, False
            argument = sympy.Mul(-1 if self.accepted("-") else 1, self.power())
            while self.starts_factor() and not self.number_beside():
                if self.next.removeprefix("\\") in FUNCTIONS or (outer and is_unit_word(self.next)):
                    break
                argument = sympy.Mul(argument, self.power())
            self.units, arguments = outer, [argument]
        return value_of(name, arguments, scripts.get("_"), scripts.get("^"))

    def values(self) -> list[Any]:
        """Values between commas, in brackets."""
        parts = split(self.accept().inside, ",".__eq__)[0]
        return [FormulaReader(part, both=self.signs[r"\pm"]).whole() for part in parts]
