r"""Sets of real numbers: inequalities as intervals, and what `and`, `or`, `\setminus` and `\neq` make of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy

from mentor_pl.rewards.answers.answer import Answer, Group, Named, Nonsense, Value
from mentor_pl.rewards.answers.tokens import Token, Tokens

BELOW, ABOVE = Answer((Token("-"), Token(r"\infty"))), Answer((Token(r"\infty"),))  # what has no bound
_REALS = Group((Token(r"\mathbb"),), "()", (BELOW, ABOVE))
_POSITIVE = Group((Token(r"\mathbb"),), "()", (Value((), sympy.Integer(0)), ABOVE))
NAMED_SETS = {
    r"\emptyset": Group((Token(r"\emptyset"),), "set", ()), r"\mathbb{R}": _REALS, "allreals": _REALS,
    "allrealnumbers": _REALS, r"\mathbb{R}^{+}": _POSITIVE, r"\mathbb{R}_{+}": _POSITIVE,
}  # fmt: skip
_INTEGERS = {"Z": sympy.S.Integers, "N": sympy.S.Naturals}
_ENUMERATED = 64  # whole numbers of an interval
_MARKS = frozenset(("<", ">", r"\leq", r"\geq", r"\neq", r"\mathbb", r"\cup"))


def as_answer(tokens: Tokens, found: Any) -> Answer | None:
    """A sympy set as an answer."""
    if isinstance(found, sympy.Union):
        parts = [as_answer((), part) for part in sorted(found.args, key=lambda one: (one.inf, one.sup))]
        return None if None in parts else Group(tokens, "union", tuple(part for part in parts if part))
    if found is sympy.S.EmptySet:
        return Group(tokens, "set", ())
    if isinstance(found, sympy.FiniteSet):
        return Group(tokens, "set", tuple(Value((), value) for value in found.args))
    if not isinstance(found, sympy.Interval):
        return _REALS if found == sympy.S.Reals else None
    ends = tuple({-sympy.oo: BELOW, sympy.oo: ABOVE}.get(end) or Value((), end) for end in (found.start, found.end))
    return Group(tokens, f"{'(' if found.left_open else '['}{')' if found.right_open else ']'}", ends)


def as_set(answer: Answer) -> Any:
    """An answer as a sympy set of real numbers, or None."""
    answer = answer.value if isinstance(answer, Named) else answer
    if not isinstance(answer, Group):
        return None
    if answer.kind == "union":
        parts = [as_set(part) for part in answer.parts]
        return None if None in parts else sympy.Union(*parts)
    ends = [_end(part) for part in answer.parts]
    if None in ends:
        return None
    if answer.kind == "set":
        return sympy.FiniteSet(*ends)
    if len(ends) != 2 or answer.kind not in ("()", "[]", "(]", "[)"):
        return None
    found = sympy.Interval(*ends, answer.kind[0] == "(", answer.kind[1] == ")")
    return found if isinstance(found, sympy.Interval) else None


def _end(answer: Answer) -> Any:
    if isinstance(answer, Value):
        return answer.expression if answer.expression.is_real else None
    return {r"\infty": sympy.oo, r"-\infty": -sympy.oo, r"+\infty": sympy.oo}.get("".join(answer.tokens))


def combined(tokens: Tokens, answers: Sequence[Answer], *signs: str, always: bool = False) -> Answer | None:
    """One set of several, with `signs` between them, the last one repeated; None where it cannot be said, or where,
    unless `always`, one of them was not written as a set."""
    names = {(one.name, one.variable) for one in answers if isinstance(one, Named)}
    written = len(answers) > 1 and all(_MARKS & set(answer.tokens) for answer in answers)
    if len(names) > 1 or not (always or written):
        return None
    sets = [as_set(answer) for answer in answers]
    found: Answer | None = None
    if None not in sets:
        total = sets[0]
        for place, one in enumerate(sets[1:]):
            sign = signs[min(place, len(signs) - 1)]
            total = total - one if sign == r"\setminus" else total | one if sign == r"\cup" else total & one
        found = as_answer(tokens, total)
    elif set(signs) == {r"\cup"}:
        found = Group(tokens, "union", tuple(one.value if isinstance(one, Named) else one for one in answers))
    return Named(tokens, *names.pop(), found) if names and found else found


def set_builder(tokens: Tokens, front: Sequence[str], condition: Answer) -> Answer:
    """The numbers of `{x \\in D : condition}`: those of the condition, whole ones one by one, where D says so."""
    if len(front) == 1 or r"\mathbb" not in front:
        return condition if len(front) == 1 else Answer(tokens)
    letter = front[-2] if len(front) > 2 else ""
    if letter == "R":
        return condition
    found = as_set(condition)
    if letter not in _INTEGERS or found is None or not (found.inf.is_finite and found.sup.is_finite):
        return Nonsense(tokens)
    whole = found & _INTEGERS[letter]
    small = found.sup - found.inf <= _ENUMERATED
    return Group(tokens, "set", tuple(Value((), number) for number in whole)) if small else Nonsense(tokens)
