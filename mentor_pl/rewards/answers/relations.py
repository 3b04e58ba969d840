r"""Relations: names with their values, chains of equal values, equations, inequalities and the intervals they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import sympy

from mentor_pl.rewards.answers.answer import Answer, Group, Named, Nonsense, Relation, Value
from mentor_pl.rewards.answers.cheap import Unreadable
from mentor_pl.rewards.answers.formula import whole_formula
from mentor_pl.rewards.answers.sets import ABOVE, BELOW, as_answer
from mentor_pl.rewards.answers.structures import Reading
from mentor_pl.rewards.answers.tokens import Token, Tokens, depths, split

_RELATIONS = frozenset(("=", "<", ">", r"\leq", r"\geq", r"\neq", r"\approx", r"\equiv", r"\in"))
_INEQUALITIES: dict[str, Any] = {"<": sympy.Lt, ">": sympy.Gt, r"\leq": sympy.Le, r"\geq": sympy.Ge, r"\neq": sympy.Ne}
_TURNED = {">": "<", r"\geq": r"\leq"}
_FUNCTION = re.compile(r"(\\?[a-zA-Z]+(?:_\{[^{}]*\})?'*)\(([a-z])\)")
_NAME = re.compile(
    r"\\?[a-zA-Z]+'*(?:\([^()]*\))?|\|[A-Z]+\||\((?:\\?[a-zA-Z]+,?)+\)|\\frac\{[A-Z]+\}\{[A-Z]+\}|[a-zA-Z]+:[a-zA-Z]+"
    r"|\\[a-z]+[A-Z]+"
)
_TERM = re.compile(
    r"m?\\angle.*|\\(?:sin|cos|tan|cot|log|ln|lim|overline|bar|vec|dot|ddot|det|hat)(?![a-z]).*|\|.*\||\[[A-Z]+\]|[A-Z]\[.*\]"
    r"|[a-zA-Z](?:_\{[^{}]*\})?(?:\^\{-1\})?\(.*\)|\\frac\{d.*\}\{d.*\}|\\[a-z]+\^\{\d\}"
)
_CONSTANTS = (r"\pi", "e", "i", r"\infty")


def relation(tokens: tuple[Token, ...], read: Reading) -> Answer | None:
    """The answer that a relation is, its sides read by `read`; None where the tokens hold no sign of one."""
    sides, signs = split(tokens, _RELATIONS.__contains__)
    if not signs:
        return None
    if not all(sides):
        return Answer(tokens)
    if signs == [r"\in"]:
        name = name_of(sides[0])
        return Named(tokens, *name, read(sides[1])) if name else Answer(tokens)
    if set(signs) <= {"=", r"\approx", r"\equiv"}:
        return _chain(tokens, sides, signs, read)
    if set(signs) <= set(_INEQUALITIES):
        return _interval(tokens, sides, signs, read) or _inequality(tokens, sides, signs)
    return Answer(tokens)


def name_of(tokens: tuple[Token, ...]) -> tuple[str, str] | None:
    """(name, variable) of a side that names a quantity: `x`, `a_n`, `f(n)`, `(x, y)`, `|AB|`, `V_1 : V_2`, words; or
    None."""
    text = "".join(tokens)
    if match := _FUNCTION.fullmatch(text):
        return match[1], match[2]
    if all(len(token) > 1 or token in ("'", "s") for token in tokens) and text.replace("'", "").isalpha():
        words = tokens[0].upright or len(tokens) > 1 or len(text) > 3 or text.isupper()
        return (text, "") if words else None  # else a product of two or three letters
    bare = re.sub(r"_\{[^{}]*\}", "", text)
    if _TERM.fullmatch(text) and not any(
        depth == 0 and token in ("+", "-", "*", "/") for token, depth in zip(tokens, depths(tokens), strict=True)
    ):
        return text, ""
    counts = re.search(r"\d", re.sub(r"\([^()]*\)", "", bare)) or bare in _CONSTANTS
    return (text, "") if _NAME.fullmatch(bare) and not counts else None


def _chain(tokens: Tokens, sides: list[tuple[Token, ...]], signs: list[Token], read: Reading) -> Answer:
    """`x = 2 + 3 = 5 \\approx 5.0`: the last exact value, of the names before it.

    All values must agree, but for the slips of one that works out something for a name.
    """
    if len(sides) == 2 and signs == ["="] and not name_of(sides[0]) and name_of(sides[1]):
        sides = sides[::-1]  # 5 = x
    names: list[tuple[str, str]] = []
    while len(names) < len(sides) - 1 and (name := name_of(sides[len(names)])):
        names.append(name)
    exact = max(len(names) + 1, signs.index(Token(r"\approx")) + 1 if r"\approx" in signs else len(sides))
    values = [read(side) for side in sides[len(names) : exact]]
    if any(type(value) in (Answer, Nonsense) for value in values[:-1]):
        return Nonsense(tokens) if any(isinstance(value, Nonsense) for value in values) else Answer(tokens)
    derived = names and any(len(side) > 1 for side in sides[len(names) : exact])
    if not derived and not all(_agree(one, values[-1]) for one in values[:-1]):
        left, right = (
            value.expression if isinstance(value, Value) else sympy.S.Zero for value in (values[0], values[-1])
        )
        if len(sides) == 2 and (left.free_symbols | right.free_symbols):
            return Relation(tokens, "=", left, right)
        return Nonsense(tokens)
    if len(names) == 1:
        return Named(tokens, *names[0], values[-1])
    found: list[Answer] = [Named((), *name, values[-1]) for name in names] or [values[-1]]
    return found[0] if len(found) == 1 else Group(tokens, "list", tuple(found))


def _agree(one: Answer, other: Answer) -> bool:
    if not (isinstance(one, Value) and isinstance(other, Value)):
        return True
    a, b = one.expression, other.expression
    if a.is_number and b.is_number and one.unit.powers != other.unit.powers:
        return True  # of two measures, which are not compared
    return bool(a == b or (a.is_number and b.is_number and abs(sympy.N(a - b, 30)) < 1e-9 * (1 + abs(sympy.N(b)))))


def _interval(tokens: Tokens, sides: list[tuple[Token, ...]], signs: list[Token], read: Reading) -> Answer | None:
    """Of one name, in the middle or beside one bound: the interval."""
    if signs[0] in _TURNED:
        sides, signs = sides[::-1], [Token(_TURNED.get(sign, "")) for sign in signs[::-1]]
    places = [place for place, side in enumerate(sides) if name_of(side) and side[0] != "|"]
    if len(places) != 1 or not set(signs) <= {"<", r"\leq"} or not 0 <= places[0] >= len(sides) - 2 or places[0] > 1:
        return None
    place = places[0]
    low = read(sides[0]) if place else BELOW
    high = read(sides[-1]) if place < len(sides) - 1 else ABOVE
    opening = "[" if place and signs[0] == r"\leq" else "("
    closing = "]" if place < len(sides) - 1 and signs[-1] == r"\leq" else ")"
    return Named(tokens, *(name_of(sides[place]) or ("", "")), Group(tokens, opening + closing, (low, high)))


def _inequality(tokens: Tokens, sides: Sequence[Tokens], signs: list[Token]) -> Answer:
    """Between formulas in one letter: the set of the numbers for which it holds; in several: a relation."""
    try:
        values = [whole_formula(side) for side in sides]
    except (Unreadable, RecursionError):
        return Answer(tokens)
    letters = set[Any]().union(*(value.free_symbols for value in values))
    if len(letters) > 1 and len(values) == 2:
        left, right = values[::-1] if signs[0] in _TURNED else values
        return Relation(tokens, _TURNED.get(signs[0], signs[0]), left, right)
    found: Any = sympy.S.Reals
    try:
        for left, sign, right in zip(values, signs, values[1:], strict=False):
            found = found.intersect(_INEQUALITIES[sign](left, right).as_set())
    except (NotImplementedError, TypeError, ValueError, AttributeError):
        return Answer(tokens)
    made = as_answer(tokens, found) if len(letters) == 1 else None
    return Named(tokens, str(letters.pop()), "", made) if made else Answer(tokens)
