r"""Reads formulas as sympy's expressions: sums, products, powers, fractions, roots, functions, bars, factorials.

    sum      := [sign] product (sign product)*
    product  := power (("*" | "/" | nothing) power)*
    power    := atom ("!" | "'" | "^" argument)*
    function := name ["_" argument] ["^" argument] ("(" sum ")" | power power …)

A function without brackets takes the factors up to the next sign of an operation or the next function: `\ln 2 \cdot 3`
is 3 ln 2, and `\sin 2x` is sin(2x). What can be read in two ways, such as `1/2x` or `2 3`, is not read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sympy

from mentor_pl.rewards.answers.cheap import Ambiguous, TooLarge, Unreadable, safe_binomial, safe_factorial, safe_power
from mentor_pl.rewards.answers.functions import OF_SEVERAL, value_of
from mentor_pl.rewards.answers.lexer import FUNCTIONS, word_set
from mentor_pl.rewards.answers.tokens import Token
from mentor_pl.rewards.answers.units import is_unit_word, letters_apart

_GREEK = word_set(
    """
    alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi omicron rho varrho
    sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega hbar ell
    """
)
_ACCENTS = frozenset((r"\bar", r"\overline", r"\dot", r"\ddot", r"\hat", r"\vec", r"\tilde"))
_CLOSING = {"(": ")", "[": "]", "{": "}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil", "|": "|"}
_MAX_TOKENS = 250
_FUNCTION_LETTERS = frozenset(("f", "g", "h", "F", "G", "H", "P", "zeta", "J_0"))
_END = Token("")
_FACTORS = frozenset((r"\frac", r"\binom", r"\sqrt", r"\pi", r"\lfloor", r"\lceil", r"\angle", *_ACCENTS))


def whole_formula(tokens: Sequence[Token]) -> Any:
    """The formula that all of the tokens are, or else `Unreadable`."""
    reader = FormulaReader(tokens)
    expression = reader.sum()
    if reader.next:
        raise Unreadable
    return expression


def symbol(name: str) -> Any:
    """A variable, which is real."""
    return sympy.Symbol(name, real=True)


class FormulaReader:
    """A recursive descent over tokens, whose nesting is bounded. It stops where a unit begins."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = letters_apart(tokens)
        self.place, self.depth, self.bars = 0, 0, False
        if len(self.tokens) > _MAX_TOKENS:
            raise TooLarge

    @property
    def next(self) -> Token:
        """The token at hand, empty at the end."""
        return self.tokens[self.place] if self.place < len(self.tokens) else _END

    def accept(self, wanted: str = "") -> Token:
        """The token at hand, which is passed; another than `wanted` is not of the grammar."""
        if not self.next or (wanted and self.next != wanted):
            raise Unreadable
        self.place += 1
        return self.tokens[self.place - 1]

    def accepted(self, *wanted: str) -> str:
        """The token at hand, passed if it is one of `wanted`, or else nothing."""
        return self.accept() if self.next and self.next in wanted else ""

    @property
    def rest(self) -> list[Token]:
        """The tokens that are not read yet."""
        return self.tokens[self.place :]

    def sum(self) -> Any:
        """Products with signs before and between them."""
        terms: list[Any] = []
        while True:
            sign = self.accepted("+", "-")
            if not sign and terms:
                return sympy.Add(*terms)
            while self.next in ("+", "-"):
                sign = "-" if (sign == "-") != (self.accept() == "-") else "+"
            terms.append(-self.product() if sign == "-" else self.product())

    def product(self) -> Any:
        """Powers side by side, with a sign of multiplication, or over a divisor."""
        result, divided = self.power(), False
        while sign := self.accepted("*", "/") or (self.starts_factor() and "beside"):
            if sign == "beside" and (divided or self.number_beside()):
                raise Ambiguous
            factor = -self.power() if sign != "beside" and self.accepted("-") else self.power()
            divided = sign == "/"
            result = sympy.Mul(result, sympy.Pow(factor, -1) if divided else factor)
        return result

    def starts_factor(self) -> bool:
        """Whether a factor without a sign begins here."""
        token = self.next
        if not self.depth and "".join(self.rest[:3]) in ("m/s", "m/min"):
            return False
        if not token or token in "+-,;:=<>)]}^_!'*/%":
            return False
        if token == "|":
            return not self.bars
        micro = token == r"\mu" and any(behind.isalpha() and behind.upright for behind in self.rest[1:2])
        if self.depth == 0 and (is_unit_word(token) or micro):
            return False
        return token[0] != "\\" or token[1:] in _GREEK | FUNCTIONS or token in _FACTORS

    def number_beside(self) -> bool:
        """Whether a number stands behind a number or a letter: 2 3 is neither 23 nor 6, and x2 is not 2x."""
        before = self.tokens[self.place - 1]
        ended = before in ("}", ")", "!", "|", "]")
        return self.next[0].isdigit() and (before[-1].isalnum() or not self.next.gap) and not ended

    def power(self) -> Any:
        """An atom with what stands behind it."""
        base = self.atom()
        while True:
            if self.accepted("!"):
                base = safe_factorial(base, bool(self.accepted("!")))
            elif self.next == "^" and (self.depth or "".join(self.tokens[self.place : self.place + 4]) != r"^{\circ}"):
                base = self.raised(base)
            else:
                return base

    def raised(self, base: Any) -> Any:
        """The power of a base, or its value in radians where the exponent is the sign of degrees."""
        self.accept("^")
        if "".join(self.tokens[self.place : self.place + 3]) == r"{\circ}":
            self.place += 3
            return base * sympy.pi / 180
        exponent = self.inside("{", self.sum)
        if self.next == "^":
            exponent = self.raised(exponent)
        return safe_power(base, exponent)

    def inside(self, opening: str, read: Callable[[], Any]) -> Any:
        """What `read` finds between an opening bracket and its closing one."""
        self.accept(opening)
        outer, self.depth, self.bars = (self.depth, self.bars), self.depth + 1, opening == "|"
        found = read()
        self.depth, self.bars = outer
        self.accept(_CLOSING[opening])
        return found

    def atom(self) -> Any:
        """A number, a letter, a function's value, or something in brackets."""
        token = self.accept()
        name = token.removeprefix("\\")
        if token[0].isdigit() or (token[0] == "." and len(token) > 1):
            return self.number(token)
        if name in FUNCTIONS and (token != name or token.upright):
            return self.function(name)
        if token in ("(", "[", "|", r"\lfloor", r"\lceil"):
            self.place -= 1
            value = self.inside(token, self.sum)
            return {"|": sympy.Abs, r"\lfloor": sympy.floor, r"\lceil": sympy.ceiling}.get(token, lambda x: x)(value)
        if token == "{":
            self.place -= 1
            return self.inside("{", self.sum)
        if token in (r"\frac", r"\binom"):
            heads = [self.tokens[self.place + 1 : self.place + 2]]
            top = self.inside("{", self.sum)
            heads.append(self.tokens[self.place + 1 : self.place + 2])
            if heads == [["d"], ["d"]]:  # a derivative
                raise Ambiguous
            bottom = self.inside("{", self.sum)
            return top * sympy.Pow(bottom, -1) if token == r"\frac" else safe_binomial(top, bottom)
        if token == r"\sqrt":
            order = self.inside("[", self.sum) if self.next == "[" else sympy.Integer(2)
            inside = self.inside("{", self.sum)
            if order.is_odd and inside.is_negative:
                return -safe_power(-inside, 1 / order)
            return safe_power(inside, 1 / order)
        if token == "_":  # {}_5 C_2
            self.place -= 1
            top = self.script()
            if self.accept() != "C" or self.next != "_":
                raise Unreadable
            return safe_binomial(sympy.Integer(top), sympy.Integer(self.script()))
        if token in _ACCENTS or token == r"\angle":
            self.place -= 1 if token == r"\angle" else 0
            return self.variable(name + (self.accept() + self.accept() if token == r"\angle" else self.argument_text()))
        if name in _GREEK or (token.isalpha() and (len(token) == 1 or token.isupper())):
            return self.variable(name)
        if token == r"\pi":
            return sympy.pi
        raise Unreadable

    def number(self, token: str) -> Any:
        """A decimal with its period, a mixed number, or a number as it stands."""
        value, places = sympy.Rational(token), len(token.partition(".")[2])
        if "." in token and self.next in (r"\overline", r"\bar", r"\dot", r"\dots"):
            decimals = token.partition(".")[2]
            period = decimals[-1:] if self.next == r"\dots" and decimals[-2:] == 2 * decimals[-1:] else ""
            period = "" if self.accept() == r"\dots" and not period else period or self.argument_text()
            if not period.isdigit():
                raise Ambiguous
            return value + sympy.Rational(int(period), (10 ** len(period) - 1) * 10**places)
        rest = self.tokens[self.place : self.place + 7]
        if token.isdigit() and rest[:2] == [r"\frac", "{"] and rest[3:5] == ["}", "{"] and rest[6:] == ["}"]:
            top, bottom = rest[2], rest[5]
            if top.isdigit() and bottom.isdigit() and int(bottom):
                self.place += 7
                return value + sympy.Rational(int(top), int(bottom))
        if (
            token.isdigit()
            and len(rest) > 2
            and rest[0].isdigit()
            and rest[0].gap
            and rest[1] == "/"
            and rest[2].isdigit()
        ):
            self.place += 3
            return value + sympy.Rational(int(rest[0]), int(rest[2])) if int(rest[2]) else sympy.nan
        exponent = "".join(rest[:3])
        if (
            rest
            and rest[0] in ("e", "E")
            and not rest[0].gap
            and (sign := exponent[1:2])
            and (sign in "+-" or sign.isdigit())
        ):
            digits = rest[2] if sign in "+-" and len(rest) > 2 else rest[1]
            if digits.isdigit() and len(digits) <= 3:
                self.place += 3 if sign in "+-" else 2
                return value * sympy.Integer(10) ** int(sign + digits if sign == "-" else digits)
        return value

    def variable(self, name: str) -> Any:
        """A letter with its index and its primes; e and i without any are constants."""
        if self.next == "_":
            name += "_" + self.script()
        while self.accepted("'") or "".join(self.tokens[self.place : self.place + 4]) == r"^{\prime}":
            self.place += 4 if self.next == "^" else 0
            name += "'"
        behind = self.tokens[self.place : self.place + 3]
        at_number = behind[2:] == [")"] and behind[1].isdigit()
        if behind[:1] == ["("] and (at_number or name in _FUNCTION_LETTERS):
            return sympy.Function(name)(*self.values())
        return {"e": sympy.E, "i": sympy.I}.get(name) or symbol(name)

    def script(self) -> str:
        """The text of an index."""
        self.accept("_")
        return self.argument_text()

    def argument_text(self) -> str:
        """The text of an argument in braces."""
        start = self.place
        self.accept("{")
        open_ones = 1
        while open_ones:
            open_ones += {"{": 1, "}": -1}.get(self.accept(), 0)
        return "".join(self.tokens[start + 1 : self.place - 1])

    def function(self, name: str) -> Any:
        """A function's value, with its base, its power and its argument."""
        base = exponent = None
        while self.next in ("_", "^"):
            if self.accepted("_"):
                base = self.inside("{", self.sum)
            else:
                self.accept("^")
                exponent = self.inside("{", self.sum)
        if name in OF_SEVERAL:
            self.place += self.next == r"\{"
            return OF_SEVERAL[name](*self.values())
        if self.next in ("(", "["):
            argument = self.inside(self.next, self.sum)
        else:
            self.depth += 1
            argument = sympy.Mul(-1 if self.accepted("-") else 1, self.power())
            while self.starts_factor() and self.next.removeprefix("\\") not in FUNCTIONS and not self.number_beside():
                argument = sympy.Mul(argument, self.power())
            self.depth -= 1
        return value_of(name, argument, base, exponent)

    def values(self) -> list[Any]:
        """Values between commas, in brackets or behind a brace."""
        opening = self.accepted("(", "[")
        self.depth += 1
        found = [self.sum()]
        while self.accepted(","):
            found.append(self.sum())
        self.depth -= 1
        self.accept(_CLOSING[opening] if opening else r"\}")
        return found
