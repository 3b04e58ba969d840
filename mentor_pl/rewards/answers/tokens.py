r"""Tokens of an answer, in a tree: a pair of brackets is one token with tokens inside, and so is each argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

_ARGUMENTS = {r"\frac": 2, r"\binom": 2, **dict.fromkeys(("^", "_", r"\sqrt", r"\pmod", r"\mathbb", r"\bar"), 1)}
_ARGUMENTS |= dict.fromkeys((r"\overline", r"\dot", r"\ddot", r"\hat", r"\vec", r"\tilde"), 1)


class Token(str):
    """A token's spelling, its parts between blanks.

    Attributes:
        gap: white space stands before it.
        upright: it stands in text or in an upright font.
        kind: of a pair, the two brackets, such as `(]`; else nothing.
        inside: of a pair, the tokens between them.
    """

    gap: bool
    upright: bool
    kind: str
    inside: tuple[Token, ...]

    def __new__(
        cls, spelling: str, gap: bool = False, upright: bool = False, kind: str = "", inside: tuple[Token, ...] = ()
    ) -> Token:
        """One token."""
        token = super().__new__(cls, spelling)
        token.gap, token.upright, token.kind, token.inside = gap, upright, kind, inside
        return token


Tokens = tuple[Token, ...]


def pair(opening: str, inside: Sequence[Token], closing: str, gap: bool = False, upright: bool = False) -> Token:
    """Two brackets with tokens between them, as a token."""
    return Token(" ".join((opening, *inside, closing)), gap, upright, opening + closing, tuple(inside))


def compact(tokens: Iterable[str]) -> str:
    """The tokens' spelling without blanks."""
    return "".join(tokens).replace(" ", "")


def flat(tokens: Iterable[str]) -> list[str]:
    """The tokens with all that stands in brackets, and the brackets, in their order."""
    return " ".join(tokens).split()


def split(tokens: Sequence[Token], cut: Callable[[Token], bool]) -> tuple[list[Tokens], list[Token]]:
    """The parts between the tokens at which `cut` says so, and those tokens."""
    places = [place for place, token in enumerate(tokens) if cut(token)]
    parts = [tuple(tokens[a + 1 : b]) for a, b in zip([-1, *places], [*places, len(tokens)], strict=True)]
    return parts, [tokens[place] for place in places]


def with_arguments(tokens: Iterable[Token]) -> list[Token]:
    r"""With braces around every argument, those of `\frac12` and `x^2` too, and none that only group."""
    rest, found = deque(tokens), list[Token]()
    while rest:
        found += _item(rest)
    for infix, command in ((r"\over", r"\frac"), (r"\choose", r"\binom")):
        if infix in found:
            middle = found.index(Token(infix))
            return [Token(command), _braced(found[:middle]), _braced(found[middle + 1 :])]
    return found


def _item(rest: deque[Token]) -> list[Token]:
    """The next token with its arguments; what stands in braces that only group."""
    token = rest.popleft()
    if token.kind == "{}":
        inside = token.inside
        if len(inside) > 1 and rest and rest[0] in ("^", "_") and not inside[0].upright:
            return [token]
        for first in inside[:1]:
            first.gap |= token.gap
        return list(inside)
    script = token in ("^", "_")
    if script and not rest:
        return []
    order = [rest.popleft()] if token == r"\sqrt" and rest and rest[0].kind == "[]" else []
    found = [token, *order, *(_argument(rest, script) for _ in range(_ARGUMENTS.get(token, 0)))]
    return [*_item(rest), *found] if token == "^" and rest and rest[0] == "_" else found  # v^2_0 is v_0^2


def _argument(rest: deque[Token], script: bool) -> Token:
    """The next argument, in braces: of a number that is no script a digit, of a run of letters the first."""
    if not rest:
        return _braced(())
    token = rest[0]
    if token.kind in ("()", "{}"):
        return _braced(rest.popleft().inside)
    if script and token in ("+", "-"):
        return _braced([rest.popleft(), *_argument(rest, True).inside])
    if len(token) > 1 and (token[0].isalpha() or (token.isdigit() and not script)):
        rest[0] = Token(token[1:], False, token.upright)
        return _braced([Token(token[0], False, token.upright)])
    return _braced(_item(rest))


def _braced(tokens: Sequence[Token]) -> Token:
    return pair("{", tokens, "}")
