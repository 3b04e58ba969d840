r"""Tokens of an answer: their brackets, the parts between them, and the braces around the arguments of commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

MAX_ANSWER = 1500  # characters of an answer that are read as mathematics; longer ones are compared as strings
MAX_NESTING = 16  # brackets within brackets; deeper answers are compared as strings

_OPENING = frozenset(("(", "[", "{", r"\{", r"\langle", r"\lfloor", r"\lceil"))
_CLOSING = frozenset((")", "]", "}", r"\}", r"\rangle", r"\rfloor", r"\rceil"))
_TWO_ARGUMENTS = frozenset((r"\frac", r"\binom"))
_ONE_ARGUMENT = frozenset(
    (r"\sqrt", r"\pmod", r"\mathbb", r"\bar", r"\overline", r"\dot", r"\ddot", r"\hat", r"\vec", r"\tilde")
)


class Token(str):
    """A token's spelling. `gap`: white space stands before it; `upright`: it stands in text or in an upright font."""

    gap: bool
    upright: bool

    def __new__(cls, spelling: str, gap: bool = False, upright: bool = False) -> Token:
        """One token."""
        token = super().__new__(cls, spelling)
        token.gap, token.upright = gap, upright
        return token


Tokens = Sequence[Token]


def depths(tokens: Sequence[str]) -> list[int]:
    """How many brackets are open at each token, those of half-open intervals too."""
    depths, depth = [], 0
    for token in tokens:
        depth -= token in _CLOSING or token.startswith(r"\end{")
        depths.append(depth)
        depth += token in _OPENING or token.startswith(r"\begin{")
    return depths


def split(tokens: Tokens, cut: Callable[[Token], bool]) -> tuple[list[tuple[Token, ...]], list[Token]]:
    """The parts between the tokens outside brackets at which `cut` says so, and those tokens."""
    parts: list[list[Token]] = [[]]
    cuts: list[Token] = []
    for token, depth in zip(tokens, depths(tokens), strict=True):
        if depth == 0 and cut(token):
            cuts.append(token)
            parts.append([])
        else:
            parts[-1].append(token)
    return [tuple(part) for part in parts], cuts


def readable(text: str) -> bool:
    """Whether a text is short and flat enough to be read as mathematics."""
    return len(text) <= MAX_ANSWER and nesting(text) <= MAX_NESTING


def nesting(text: str) -> int:
    """The greatest depth of brackets within brackets."""
    depth = deepest = 0
    for bracket in re.findall(r"[(\[{)\]}]|[\^_]", text):
        depth += bracket in "([{"
        depth -= bracket in ")]}"
        deepest = max(deepest, depth)
    return deepest


def with_arguments(tokens: list[Token]) -> tuple[Token, ...]:
    r"""With braces around every argument, those of `\frac12` and `x^2` too, and none that only group."""
    return tuple(_Braces(tokens).group())


class _Braces:
    """A pass over tokens that re-builds their groups."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens, self.place = tokens, 0

    def group(self, closing: str = "") -> list[Token]:
        """The tokens up to the closing one, which is passed; to the end where it never comes."""
        found: list[Token] = []
        while self.place < len(self.tokens):
            token = self.tokens[self.place]
            if token == closing:
                self.place += 1
                break
            if token in ("{", "}") and not closing and token == "}":
                self.place += 1
                continue
            found += self.item()
        for infix, command in ((r"\over", r"\frac"), (r"\choose", r"\binom")):
            if infix in found:
                middle = found.index(Token(infix))
                return [Token(command), *_braced(found[:middle]), *_braced(found[middle + 1 :])]
        return found

    def item(self, argument: bool = False) -> list[Token]:
        """The next token with its arguments, or a whole group; of a number that is an argument of `\\frac` a digit."""
        token = self.tokens[self.place]
        self.place += 1
        if token == "{":
            inside = self.group("}")
            scripted = len(inside) > 1 and self.next in ("^", "_") and not inside[0].upright
            if inside and token.gap:
                inside[0] = Token(inside[0], True, inside[0].upright)
            return _braced(inside) if scripted and not argument else inside
        if token in ("^", "_") and not self.next:
            return []
        if token in _TWO_ARGUMENTS:
            return [token, *self.argument(True), *self.argument(True)]
        if token in _ONE_ARGUMENT or token in ("^", "_"):
            if token == r"\sqrt" and self.next == "[":
                self.place += 1
                return [token, Token("["), *self.group("]"), Token("]"), *self.argument(True)]
            found = [token, *self.argument(token not in ("^", "_"))]
            return [*self.item(), *found] if token == "^" and self.next == "_" else found  # v^2_0 is v_0^2
        return [token]

    @property
    def next(self) -> str:
        """The token at hand, empty at the end."""
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def argument(self, digit: bool) -> list[Token]:
        """The next argument, in braces."""
        if not self.next:
            return _braced([])
        token = self.tokens[self.place]
        if token == "(":
            self.place += 1
            return _braced(self.group(")"))
        if digit and len(token) > 1 and token.isdigit():
            self.tokens[self.place] = Token(token[1:])
            return _braced([Token(token[0])])
        if len(token) > 1 and token[0].isalpha():
            self.tokens[self.place] = Token(token[1:], False, token.upright)
            return _braced([Token(token[0], False, token.upright)])
        if token in ("+", "-") and not digit:
            self.place += 1
            return _braced([token, *self.argument(False)[1:-1]])
        return _braced(self.item(True))


def _braced(tokens: list[Token]) -> list[Token]:
    return [Token("{"), *tokens, Token("}")]
