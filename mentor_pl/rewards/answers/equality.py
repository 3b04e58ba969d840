r"""Whether an answer equals a reference: both are read once, and what they are is compared by structure.

`grade_request` is the task that the worker pool runs: this module and those it imports stay free of torch. Algebra may
run without bound on hostile input, so nothing but a worker should call it. What our reader does not read whole,
math-verify judges, behind guards (see `judge`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import sympy

from mentor_pl.rewards.answers.answer import LABEL, Answer, Group, Named, Nonsense, Relation, Value, Words
from mentor_pl.rewards.answers.cheap import Unreadable
from mentor_pl.rewards.answers.formula import symbol, whole_formula
from mentor_pl.rewards.answers.judge import judged_equal
from mentor_pl.rewards.answers.letters import lone_letter, stated_letter
from mentor_pl.rewards.answers.lexer import same_text, tokenise
from mentor_pl.rewards.answers.reader import read
from mentor_pl.rewards.answers.rules import Conventions
from mentor_pl.rewards.answers.sets import as_set
from mentor_pl.rewards.answers.tokens import readable
from mentor_pl.rewards.answers.values import same_equation, same_value

_COMMA = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_MEMBERS = 64  # of a group that are matched pair by pair
_UNORDERED = frozenset(("list", "set", "union", "cases"))


def grade_request(item: dict[str, Any]) -> bool:
    """The worker pool's task: is the answer right? Whatever cannot be read is not."""
    try:
        return equal(item["answer"], item["reference"], Conventions(**item["conventions"]))
    except (RecursionError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError, NotImplementedError):
        return False


def equal(answer: str, reference: str, rules: Conventions) -> bool:
    """Whether `answer` equals `reference`. Run it in a worker only: it may take any time."""
    if same_text(answer, reference):
        return True
    if rules.letters == "optional" and (letter := lone_letter(reference)):
        return stated_letter(answer) == letter
    if not (readable(answer) and readable(reference)):
        return False
    ours, theirs = read(answer), read(reference)
    if same(ours, theirs, rules):
        return True
    listed = any(isinstance(one, Group) and one.kind == "list" for one in (ours, theirs))
    if listed and (_COMMA.search(answer) or _COMMA.search(reference)):  # 135,246 is a list where the other is one
        return same(read(_COMMA.sub(", ", answer)), read(_COMMA.sub(", ", reference)), rules)
    return False


def same(ours: Answer, theirs: Answer, rules: Conventions) -> bool:
    """Whether two answers are the same."""
    if ours.key and ours.key == theirs.key:
        return True
    if isinstance(ours, Relation) or isinstance(theirs, Relation):
        return _same_relation(ours, theirs)
    labels = [isinstance(one, Named) and one.name.startswith(LABEL) for one in (ours, theirs)]
    if isinstance(ours, Named) and isinstance(theirs, Named) and labels[0] == labels[1]:
        if (
            ours.name != theirs.name
            and isinstance(ours.value, Value)
            and isinstance(theirs.value, Value)
            and not (labels[0] or ours.variable or theirs.variable)
        ):
            return _same_relation(ours, theirs)
        identity = r"\equiv" in (*ours.tokens, *theirs.tokens)
        if ours.name != theirs.name or (bool(ours.variable) != bool(theirs.variable) and not identity):
            return False
        renamed = _renamed(ours.value, ours.variable, theirs.variable)
        return same(renamed, theirs.value, rules)
    if isinstance(ours, Named) or isinstance(theirs, Named):
        if rules.left_side == "require" and not any(labels):
            return False
        ours, theirs = (one.value if isinstance(one, Named) else one for one in (ours, theirs))
        return same(ours, theirs, rules)
    if _decimal_comma(ours, theirs) or (theirs.tokens[:1] == ("0",) and _decimal_comma(theirs, ours)):
        return True
    if isinstance(ours, Group) or isinstance(theirs, Group):
        return _same_group(ours, theirs, rules)
    if isinstance(ours, Value) and isinstance(theirs, Value):
        verdict = same_value(ours, theirs, rules)
        return judged_equal(ours.tokens, theirs.tokens) if verdict is None else verdict
    if isinstance(ours, Words) and isinstance(theirs, Words):
        return ours.text == theirs.text
    return not {Words, Nonsense} & {type(ours), type(theirs)} and judged_equal(ours.tokens, theirs.tokens)


def _decimal_comma(one: Answer, other: Answer) -> bool:
    """Whether the one is the other, a decimal, with a comma for the point: 1000,99 for 1000.99."""
    tokens = one.tokens
    return (
        len(tokens) == 3
        and tokens[1] == ","
        and not tokens[2].gap
        and f"{tokens[0]}.{tokens[2]}" == "".join(other.tokens)
    )


def _renamed(answer: Answer, old: str, new: str) -> Answer:
    if old == new or not isinstance(answer, Value):
        return answer
    if symbol(new) in answer.expression.free_symbols:
        return Nonsense(())  # another letter than the function's
    return Value((), answer.expression.xreplace({symbol(old): symbol(new)}), answer.places, answer.percent, answer.unit)


def _same_relation(ours: Answer, theirs: Answer) -> bool:
    """Equations and inequalities of several variables: one is a multiple of the other, or math-verify says so."""
    sides = []
    for one in (ours, theirs):
        if isinstance(one, Named) and isinstance(one.value, Value) and not one.value.unit.powers:
            sides.append(("=", _left_side(one.name) - one.value.expression))
        elif isinstance(one, Relation):
            sides.append((one.sign, one.left - one.right))
        else:
            return False
    (sign, a), (other, b) = sides
    if sign != other:
        return False
    verdict = same_equation(a, b, sign not in ("=", r"\neq"))
    return judged_equal(ours.tokens, theirs.tokens) if verdict is None and sign == "=" else bool(verdict)


def _left_side(name: str) -> Any:
    try:
        return whole_formula(tokenise(name))
    except Unreadable:
        return symbol(name)


def _same_group(ours: Answer, theirs: Answer, rules: Conventions) -> bool:
    a, b = (one if isinstance(one, Group) else Group(one.tokens, "single", (one,)) for one in (ours, theirs))
    kinds = {a.kind, b.kind}
    parts_a, parts_b = a.parts, b.parts
    if "union" in kinds:
        sets = as_set(a), as_set(b)
        if None not in sets:
            return bool(sets[0] == sets[1])
    if kinds <= {"single", "residue", "base"}:
        if a.kind == b.kind:
            return all(same(x, y, rules) for x, y in zip(parts_a, parts_b, strict=True))
        allowed = "residue" in kinds or rules.base_suffix == "optional"
        return allowed and "single" in kinds and same(parts_a[0], parts_b[0], rules)
    if "time" in kinds:
        return (
            rules.units != "require" and bool(_minutes(a) & _minutes(b))
            if len(kinds) == 2
            else same(parts_a[0], parts_b[0], rules)
        )
    if "ratio" in kinds:
        return len(kinds) == 1 and _proportional(parts_a, parts_b)
    if "matrix" in kinds and kinds <= {"matrix", "()", "[]"}:
        if a.kind != b.kind:
            parts_a, parts_b = (_flat(one) for one in (a, b))
        ordered = True
    elif "matrix" in kinds or "determinant" in kinds:
        if len(kinds) == 2:
            return _unread(ours, theirs) and judged_equal(ours.tokens, theirs.tokens)
        ordered = True
    else:
        if "single" in kinds and not kinds <= {"single", "list"}:
            return _unread(ours, theirs) and judged_equal(ours.tokens, theirs.tokens)
        if len(kinds) == 2 and not (kinds <= {"list", "set", "single"} or kinds <= {"list", "()"}):
            return False
        ordered = not kinds <= {"single", *_UNORDERED} and (kinds & {"(]", "[)", "[]"} or rules.tuple_order == "keep")  # type: ignore[assignment]
        ordered = bool(ordered) or (kinds <= {"list", "single"} and rules.list_order == "keep")
    if not ordered and len(parts_a) != len(parts_b):  # a value given twice is one value
        parts_a, parts_b = (tuple({_key(part): part for part in parts}.values()) for parts in (parts_a, parts_b))
    if len(parts_a) != len(parts_b) or len(parts_a) > _MEMBERS:
        return False
    if ordered:
        return all(same(x, y, rules) for x, y in zip(parts_a, parts_b, strict=True))
    left = list(parts_b)
    for part in parts_a:
        match = next((other for other in left if same(part, other, rules)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _key(part: Answer) -> Any:
    return part.key or (part.value.key if isinstance(part, Named) else "") or id(part)


def _unread(*answers: Answer) -> bool:
    return any(type(answer) is Answer for answer in answers)


def _flat(group: Group) -> tuple[Answer, ...]:
    """The entries of a vector; a matrix of several rows and columns stays as it is."""
    if group.kind != "matrix":
        return group.parts
    rows = [row.parts if isinstance(row, Group) else (row,) for row in group.parts]
    return tuple(entry for row in rows for entry in row) if min(len(rows), len(rows[0])) == 1 else group.parts


def _minutes(group: Group) -> set[int]:
    """The minutes of the day that a time of day, or hours and minutes without a half of the day, may be."""
    if group.kind == "time":
        value = group.parts[0]
        return {int(value.expression)} if isinstance(value, Value) else set()
    values = [part.expression for part in group.parts if isinstance(part, Value)]
    if group.kind != "ratio" or len(values) != 2 or not all(value.is_Integer for value in values):
        return set()
    minutes = int(values[0]) * 60 + int(values[1])
    return {minutes, minutes + 720} if minutes < 720 else {minutes, minutes - 720} if minutes < 780 else {minutes}


def _proportional(ours: Sequence[Answer], theirs: Sequence[Answer]) -> bool:
    a, b = ([part.expression for part in parts if isinstance(part, Value)] for parts in (ours, theirs))
    if len(a) != len(b) or len(a) < 2 or 0 in b:
        return a == b
    return all(sympy.simplify(x * b[0] - y * a[0]) == 0 for x, y in zip(a, b, strict=True))
