r"""Sets of real numbers: unions, differences, intersections, and what `and`, `or` and `\neq` make of inequalities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import sympy

from mentor_pl.rewards.answers.answer import Answer, Group, Named, Spelled, Value
from mentor_pl.rewards.answers.tokens import Token, Tokens, compact, flat, split

BELOW, ABOVE = (Value((Token(f"{end}"),), end) for end in (-sympy.oo, sympy.oo))  # what has no bound
_REALS = Group((Token(r"\mathbb"),), "()", (BELOW, ABOVE))
_POSITIVE = Group((Token(r"\mathbb"),), "()", (Value((), sympy.Integer(0)), ABOVE))
NAMED_SETS = {
    r"\emptyset": Group((Token(r"\emptyset"),), "set", ()), r"\mathbb{R}": _REALS, "allreals": _REALS,
    "allrealnumbers": _REALS, r"\mathbb{R}^{+}": _POSITIVE, r"\mathbb{R}_{+}": _POSITIVE,
}  # fmt: skip
_INTEGERS = {"Z": sympy.S.Integers, "N": sympy.S.Naturals}
_ENUMERATED = 64  # whole numbers of an interval
_MARKS = frozenset(("<", ">", r"\leq", r"\geq", r"\neq", r"\mathbb", r"\cup"))
_MADE: dict[str, Callable[[Any, Any], Any]] = {
    r"\cup": lambda a, b: a | b, r"\cap": lambda a, b: a & b, r"\setminus": lambda a, b: a - b
}  # fmt: skip


def as_answer(tokens: Tokens, found: Any) -> Answer | None:
    """A sympy set as an answer."""
    if isinstance(found, sympy.Union):
        parts = [as_answer((), part) for part in sorted(found.args, key=lambda one: (one.inf, one.sup))]
        return None if None in parts else Group(tokens, "union", tuple(part for part in parts if part))
    if found is sympy.S.EmptySet or isinstance(found, sympy.FiniteSet):
        return Group(tokens, "set", tuple(Value((), value) for value in found))
    if found == sympy.S.Reals:
        return _REALS
    if not isinstance(found, sympy.Interval):
        return None
    brackets = ("(" if found.left_open else "[") + (")" if found.right_open else "]")
    return Group(tokens, brackets, (Value((), found.start), Value((), found.end)))


def as_set(answer: Answer) -> Any:
    """An answer as a sympy set of real numbers, or None."""
    answer = answer.value if isinstance(answer, Named) else answer
    if not isinstance(answer, Group):
        return None
    if answer.kind == "union":
        parts = [as_set(part) for part in answer.parts]
        return None if None in parts else sympy.Union(*parts)
    ends = [part.expression for part in answer.parts if isinstance(part, Value) and part.expression.is_extended_real]
    if len(ends) != len(answer.parts) or (answer.kind != "set" and (len(ends) != 2 or answer.kind[0] not in "([")):
        return None
    if answer.kind == "set":
        return sympy.FiniteSet(*ends)
    found = sympy.Interval(*ends, answer.kind[0] == "(", answer.kind[1] == ")")
    return found if isinstance(found, sympy.Interval) else None


def set_of_sets(tokens: Tokens, read: Callable[[Tokens], Answer]) -> Answer | None:
    """Unions, differences and intersections of sets, and sets that have a name."""
    parts, signs = split(tokens, _MADE.__contains__)
    if not signs and tokens[-1:] and tokens[-1].kind == r"\{\}":  # a difference of sets may have a minus sign
        parts, signs = split(tokens, "-".__eq__)
        signs = [Token(r"\setminus")] if len(parts) == 2 and parts[0] and len(parts[1]) == 1 else []
    if signs and all(parts):
        return combined(tokens, [read(part) for part in parts], *signs) or Answer(tokens)
    return NAMED_SETS.get(compact(tokens))


def combined(tokens: Tokens, answers: Sequence[Answer], *signs: str) -> Answer | None:
    """One set of several of at most one name, with `signs` between them; None where it cannot be said."""
    names = {(one.name, one.variable) for one in answers if isinstance(one, Named)}
    sets = [as_set(answer) for answer in answers]
    found: Answer | None = None
    if len(names) < 2 and None not in sets:
        found = as_answer(tokens, reduce(lambda a, b: _MADE[b[0]](a, b[1]), zip(signs, sets[1:], strict=True), sets[0]))
    elif len(names) < 2 and set(signs) == {r"\cup"}:
        found = Group(tokens, "union", tuple(one.value if isinstance(one, Named) else one for one in answers))
    return Named(tokens, *names.pop(), found) if names and found else found


def written_as_sets(answers: Sequence[Answer]) -> bool:
    """Whether each of several answers is an inequality, a union or a set with a name."""
    return len(answers) > 1 and all(_MARKS & set(flat(answer.tokens)) for answer in answers)


def set_builder(tokens: Tokens, front: Tokens, condition: Answer) -> Answer:
    """The numbers of `{x \\in D : condition}`: those of the condition, whole ones one by one, where D says so."""
    letter = compact(front[-1:]).strip("{}") if r"\mathbb" in front else ""
    if len(front) == 1 or letter == "R":
        return condition
    found = as_set(condition)
    if letter not in _INTEGERS or found is None or not found.measure <= _ENUMERATED:
        return Spelled(tokens) if letter else Answer(tokens)
    return Group(tokens, "set", tuple(Value((), number) for number in found & _INTEGERS[letter]))
