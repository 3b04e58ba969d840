r"""Relations: names with their values, chains of equal values, equations, inequalities and the intervals they are."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Any

import sympy

from mentor_pl.rewards.answers.answer import Answer, Group, Named, Relation, Spelled, Value
from mentor_pl.rewards.answers.formula import formula
from mentor_pl.rewards.answers.functions import Unreadable
from mentor_pl.rewards.answers.rules import Conventions
from mentor_pl.rewards.answers.sets import ABOVE, BELOW, as_answer
from mentor_pl.rewards.answers.structures import Reading
from mentor_pl.rewards.answers.tokens import Token, Tokens, compact, split
from mentor_pl.rewards.answers.values import same_value

_EQUALITIES = frozenset(("=", r"\approx", r"\equiv"))
_TURNED = {">": "<", r"\geq": r"\leq", r"\neq": r"\neq"}
_SOLVED: dict[str, Any] = {"<": sympy.Lt, r"\leq": sympy.Le, r"\neq": sympy.Ne}
_RELATIONS = _EQUALITIES | _TURNED.keys() | _SOLVED.keys() | {r"\in"}
_FUNCTION = re.compile(r"(\\?[a-zA-Z]+(?:_\{[^{}]*\})?'*)\(([a-z])\)")
_NAME = re.compile(
    r"\\?[a-zA-Z]+'*(?:\([^()]*\))?|\((?:\\?[a-zA-Z]+,?)+\)|\\frac\{[A-Z]+\}\{[A-Z]+\}|[a-zA-Z]+:[a-zA-Z]+|\\[a-z]+[A-Z]+"
)
_TERM = re.compile(
    r"m?\\angle.*|\\(?:sin|cos|tan|cot|log|ln|lim|overline|bar|vec|dot|ddot|det|hat)(?![a-z]).*|\|.*\||\[[A-Z]+\]"
    r"|[A-Z]\[.*\]|[a-zA-Z](?:_\{[^{}]*\})?(?:\^\{-1\})?\(.*\)|\\frac\{d.*\}\{d.*\}|\\[a-z]+\^\{\d\}"
)
_CONSTANTS = (r"\pi", "e", "i", r"\infty")


def relation(tokens: Tokens, read: Reading) -> Answer | None:
    """The answer that a relation is, its sides read by `read`; None where the tokens hold no sign of one."""
    sides, signs = split(tokens, _RELATIONS.__contains__)
    if not signs:
        return None
    if all(sides) and signs == [r"\in"] and (name := name_of(sides[0])):
        return Named(tokens, *name, read(sides[1]))
    if all(sides) and set(signs) <= _EQUALITIES:
        return _chain(tokens, sides, signs, read)
    if all(sides) and not set(signs) & {r"\in", *_EQUALITIES}:
        return _inequality(tokens, sides, signs, read)
    return Answer(tokens)


def name_of(tokens: Tokens) -> tuple[str, str] | None:
    """(name, variable) of a side that names a quantity: `x`, `a_n`, `f(n)`, `(x, y)`, `|AB|`, `V_1 : V_2`, words; or
    None."""
    text = compact(tokens)
    if match := _FUNCTION.fullmatch(text):
        return match[1], match[2]
    if all(len(token) > 1 or token in ("'", "s") for token in tokens) and text.replace("'", "").isalpha():
        words = tokens[0].upright or len(tokens) > 1 or len(text) > 3 or text.isupper()
        return (text, "") if words else None  # else a product of two or three letters
    bare = re.sub(r"_\{[^{}]*\}", "", text)
    if _TERM.fullmatch(text) and not {"+", "-", "*", "/"} & set(tokens):
        return text, ""
    counts = re.search(r"\d", re.sub(r"\([^()]*\)", "", bare)) or bare in _CONSTANTS
    return (text, "") if _NAME.fullmatch(bare) and not counts else None


def _chain(tokens: Tokens, sides: list[Tokens], signs: list[Token], read: Reading) -> Answer:
    """`x = 2 + 3 = 5 \\approx 5.0`: the last exact value, of the names before it.

    All values must agree, but for the slips of one that works out something for a name.
    """
    if len(sides) == 2 and not name_of(sides[0]) and name_of(sides[1]):
        sides = sides[::-1]  # 5 = x
    names = [name for name in takewhile(bool, map(name_of, sides[:-1])) if name]
    exact = max(len(names) + 1, (*signs, r"\approx").index(r"\approx") + 1)
    values: list[Any] = [read(side) for side in sides[len(names) : exact]]
    if any(type(value) in (Answer, Spelled) for value in values[:-1]):
        return Spelled(tokens) if any(isinstance(value, Spelled) for value in values) else Answer(tokens)
    derived = names and any(len(side) > 1 for side in sides[len(names) : exact])
    if not derived and not all(_agree(value, values[-1]) for value in values):
        equation = len(sides) == 2 and (values[0].expression - values[1].expression)
        return Relation(tokens, "=", equation) if equation and equation.free_symbols else Spelled(tokens)
    if len(names) == 1:
        return Named(tokens, *names[0], values[-1])
    return Group(tokens, "list", tuple(Named((), *name, values[-1]) for name in names)) if names else values[-1]


def _agree(one: Answer, other: Answer) -> bool:
    """Whether two sides are the same value; numbers of two units are not compared."""
    if not (isinstance(one, Value) and isinstance(other, Value)):
        return True
    measures = one.unit != other.unit and one.expression.is_number and other.expression.is_number
    return bool(measures or same_value(one, other, Conventions()))


def _inequality(tokens: Tokens, sides: list[Tokens], signs: list[Token], read: Reading) -> Answer:
    """Of one name and its bounds, or solved for the one letter of formulas: the set. Of several letters: a relation."""
    if signs[0] in _TURNED:
        sides, signs = sides[::-1], [Token(_TURNED.get(sign, "")) for sign in signs[::-1]]
    names = [None if side[0] == "|" else name_of(side) for side in sides]
    named = [place for place, name in enumerate(names) if name]
    if len(sides) - 2 <= sum(named) <= 1 == len(named) and set(signs) <= {"<", r"\leq"}:
        (place,) = named
        low, high = read(sides[0]) if place else BELOW, read(sides[-1]) if place < len(sides) - 1 else ABOVE
        brackets = "[" if place and signs[0] == r"\leq" else "("
        brackets += "]" if high is not ABOVE and signs[-1] == r"\leq" else ")"
        return Named(tokens, *(names[place] or ("", "")), Group(tokens, brackets, (low, high)))
    try:
        values = [formula(side) for side in sides]
        letters = set[Any]().union(*(value.free_symbols for value in values))
        if len(letters) > 1 and len(values) == 2:
            return Relation(tokens, signs[0], values[0] - values[1])
        solved = [_SOLVED[sign](*pair).as_set() for sign, *pair in zip(signs, values, values[1:], strict=False)]
        made = as_answer(tokens, sympy.Intersection(*solved)) if len(letters) == 1 else None
    except (Unreadable, RecursionError, NotImplementedError, TypeError, ValueError, AttributeError, KeyError):
        made = None
    return Named(tokens, str(letters.pop()), "", made) if made else Answer(tokens)
