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
_NOON = 12 * 60
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
    if isinstance(ours, Named) or isinstance(theirs, Named):
        return _same_named(ours, theirs, rules)
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


def _same_named(ours: Answer, theirs: Answer, rules: Conventions) -> bool:
    """Names where both have one, and values; a label, as in `Area: 5`, is compared with another label alone."""
    labels = [isinstance(one, Named) and one.name.startswith(LABEL) for one in (ours, theirs)]
    if not (isinstance(ours, Named) and isinstance(theirs, Named)) or labels[0] != labels[1]:
        a, b = (one.value if isinstance(one, Named) else one for one in (ours, theirs))
        return (rules.left_side != "require" or any(labels)) and same(a, b, rules)
    functions = bool(ours.variable), bool(theirs.variable)
    if ours.name == theirs.name:
        identity = r"\equiv" in (*ours.tokens, *theirs.tokens)  # f \equiv 0 is f(x) = 0
        renamed = _renamed(ours.value, ours.variable, theirs.variable)
        return (functions[0] == functions[1] or identity) and same(renamed, theirs.value, rules)
    equations = isinstance(ours.value, Value) and isinstance(theirs.value, Value)
    return equations and not any((*labels, *functions)) and _same_relation(ours, theirs)


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
    if "union" in kinds and None not in (sets := (as_set(a), as_set(b))):
        return bool(sets[0] == sets[1])
    if kinds <= {"single", "residue", "base"}:
        if a.kind == b.kind:
            return all(same(x, y, rules) for x, y in zip(a.parts, b.parts, strict=True))
        dropped = "residue" in kinds or rules.base_suffix == "optional"
        return dropped and "single" in kinds and same(a.parts[0], b.parts[0], rules)
    if "time" in kinds:
        return bool(_minutes(a) & _minutes(b)) and (len(kinds) == 1 or rules.units != "require")
    if "ratio" in kinds:
        return len(kinds) == 1 and _proportional(a.parts, b.parts)
    if kinds == {"matrix", "()"} or kinds == {"matrix", "[]"}:
        return _same_members(_flat(a), _flat(b), True, rules)
    if len(kinds) == 1 or kinds <= {"single", "list"} or kinds == {"list", "set"} or kinds == {"list", "()"}:
        return _same_members(a.parts, b.parts, _ordered(kinds, rules), rules)
    unread = any(type(one) is Answer for one in (ours, theirs))
    return unread and judged_equal(ours.tokens, theirs.tokens)


def _ordered(kinds: set[str], rules: Conventions) -> bool:
    """Whether the order of a group's members counts."""
    if "()" in kinds:
        return rules.tuple_order == "keep"
    if kinds <= {"list", "single"}:
        return rules.list_order == "keep"
    return not kinds <= _UNORDERED


def _same_members(ours: Sequence[Answer], theirs: Sequence[Answer], ordered: bool, rules: Conventions) -> bool:
    if not ordered and len(ours) != len(theirs):  # a value given twice is one value
        ours, theirs = (tuple({_key(part): part for part in parts}.values()) for parts in (ours, theirs))
    if len(ours) != len(theirs) or len(ours) > _MEMBERS:
        return False
    if ordered:
        return all(same(x, y, rules) for x, y in zip(ours, theirs, strict=True))
    left = list(theirs)
    for part in ours:
        match = next((other for other in left if same(part, other, rules)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _key(part: Answer) -> Any:
    return part.key or (part.value.key if isinstance(part, Named) else "") or id(part)


def _flat(group: Group) -> tuple[Answer, ...]:
    """The entries of a vector; a matrix of several rows and columns stays as it is."""
    if group.kind != "matrix":
        return group.parts
    rows = [row.parts if isinstance(row, Group) else (row,) for row in group.parts]
    return tuple(entry for row in rows for entry in row) if min(len(rows), len(rows[0])) == 1 else group.parts


def _minutes(group: Group) -> set[int]:
    """The minutes of the day that a time may be: two where hours and minutes do not say which half of the day."""
    values = [part.expression for part in group.parts if isinstance(part, Value)]
    if group.kind == "time":
        return {int(values[0])}
    if group.kind != "ratio" or len(values) != 2 or not all(value.is_Integer for value in values):
        return set()
    minutes = 60 * int(values[0]) + int(values[1])
    return {minutes} if minutes >= _NOON + 60 else {minutes % _NOON, minutes % _NOON + _NOON}


def _proportional(ours: Sequence[Answer], theirs: Sequence[Answer]) -> bool:
    a, b = ([part.expression for part in parts if isinstance(part, Value)] for parts in (ours, theirs))
    if len(a) != len(b) or len(a) < 2 or 0 in b:
        return a == b
    return all(sympy.simplify(x * b[0] - y * a[0]) == 0 for x, y in zip(a, b, strict=True))
