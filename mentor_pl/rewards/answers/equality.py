r"""Whether an answer equals a reference: both are read once, and what they are is compared by structure.

`grade_request` is the task that the worker pool runs: this module and those it imports stay free of torch. Algebra may
run without bound on hostile input, so nothing but a worker should call it. What our reader does not read whole,
math-verify judges, behind guards (see `judge`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mentor_pl.rewards.answers.answer import LABEL, Answer, Group, Named, Relation, Spelled, Value
from mentor_pl.rewards.answers.formula import formula, symbol
from mentor_pl.rewards.answers.functions import Unreadable
from mentor_pl.rewards.answers.judge import judged_equal
from mentor_pl.rewards.answers.letters import lone_letter, stated_letter
from mentor_pl.rewards.answers.lexer import same_text, tokenise
from mentor_pl.rewards.answers.reader import read, read_tokens
from mentor_pl.rewards.answers.rules import Conventions
from mentor_pl.rewards.answers.sets import as_set
from mentor_pl.rewards.answers.tokens import Token
from mentor_pl.rewards.answers.values import same_equation, same_value

_COMMA = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_MEMBERS = 64  # of a group that are matched pair by pair
_VECTORS = itertools.product(("matrix", "row", "column"), ("()", "[]"))
_ALIKE = {frozenset(pair) for pair in (("list", "single"), ("list", "set"), ("list", "()"), *_VECTORS)}


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
    ours, theirs = read(answer), read(reference)
    if same(ours, theirs, rules):
        return True
    if not any(isinstance(one, Group) and one.kind == "list" for one in (ours, theirs)):
        return False
    if same_text(answer.replace(",", "."), reference):  # 1000,99 is 1000.99
        return True
    if reference.startswith("0,") and same_text(answer, reference.replace(",", ".")):
        return True
    ours, theirs = (read(_COMMA.sub(", ", text)) for text in (answer, reference))  # 135,246 is 135, 246
    return same(ours, theirs, rules)


def same(ours: Answer, theirs: Answer, rules: Conventions) -> bool:
    """Whether two answers are the same."""
    if ours.key and ours.key == theirs.key:
        return True
    if isinstance(ours, Relation) or isinstance(theirs, Relation):
        return _same_relation(ours, theirs)
    if isinstance(ours, Named) or isinstance(theirs, Named):
        return _same_named(ours, theirs, rules)
    if isinstance(ours, Group) or isinstance(theirs, Group):
        return _same_group(ours, theirs, rules)
    if isinstance(ours, Value) and isinstance(theirs, Value):
        verdict = same_value(ours, theirs, rules)
        return judged_equal(ours.tokens, theirs.tokens) if verdict is None else verdict
    return Spelled not in (type(ours), type(theirs)) and judged_equal(ours.tokens, theirs.tokens)


def _same_named(ours: Answer, theirs: Answer, rules: Conventions) -> bool:
    """Names where both have one, and values; a label, as in `Area: 5`, is compared with another label alone."""
    labels = [isinstance(one, Named) and one.name.startswith(LABEL) for one in (ours, theirs)]
    if not (isinstance(ours, Named) and isinstance(theirs, Named)) or labels[0] != labels[1]:
        return (rules.left_side != "require" or any(labels)) and same(_bare(ours), _bare(theirs), rules)
    if ours.name != theirs.name:
        return _same_relation(ours, theirs)
    value, old, new = ours.value, symbol(ours.variable), symbol(theirs.variable)
    if old != new and isinstance(value, Value):  # f(n) = 2n and f(m) = 2m
        value = replace(value, tokens=(), expression=value.expression.xreplace({old: new, new: old}))
    return same(value, theirs.value, rules)


def _same_relation(ours: Answer, theirs: Answer) -> bool:
    """Equations and inequalities of several variables: one is a multiple of the other, or math-verify says so."""
    sides = []
    for one in (ours, theirs):
        if isinstance(one, Named) and isinstance(one.value, Value) and not one.value.unit.free_symbols:
            sides.append(("=", _left_side(one.name) - one.value.expression))
        elif isinstance(one, Relation):
            sides.append((one.sign, one.difference))
        else:
            return False
    (sign, a), (other, b) = sides
    if sign != other:
        return False
    verdict = same_equation(a, b, sign not in ("=", r"\neq"))
    return judged_equal(ours.tokens, theirs.tokens) if verdict is None and sign == "=" else bool(verdict)


def _left_side(name: str) -> Any:
    try:
        return formula(tokenise(name))
    except Unreadable:
        return symbol(name)


def _same_group(ours: Answer, theirs: Answer, rules: Conventions) -> bool:
    a, b = (one if isinstance(one, Group) else Group(one.tokens, "single", (one,)) for one in (ours, theirs))
    kinds = {a.kind, b.kind}
    if "union" in kinds and None not in (sets := (as_set(a), as_set(b))):
        return bool(sets[0] == sets[1])
    if kinds == {"ratio", "time"}:  # 15:30 is 3:30 p.m.
        clock, time = (a, b) if b.kind == "time" else (b, a)
        halves = [read_tokens((*clock.tokens, Token(half))) for half in ("am", "pm")]
        return rules.units == "ignore" and any(isinstance(h, Group) and h.parts == time.parts for h in halves)
    if "single" in kinds and kinds & {"residue", "base"}:
        dropped = "residue" in kinds or rules.base_suffix == "optional"
        return dropped and same(a.parts[0], b.parts[0], rules)
    if len(kinds) == 1 or kinds in _ALIKE:
        return _same_members(a.parts, b.parts, _ordered(kinds, rules), rules)
    return any(type(one) is Answer for one in (ours, theirs)) and judged_equal(ours.tokens, theirs.tokens)


def _ordered(kinds: set[str], rules: Conventions) -> bool:
    """Whether the order of a group's members counts."""
    if "()" in kinds:
        return rules.tuple_order == "keep"
    return rules.list_order == "keep" if kinds <= {"list", "single"} else not kinds & {"set", "union", "cases"}


def _bare(answer: Answer) -> Answer:
    return answer.value if isinstance(answer, Named) else answer


def _same_members(ours: Sequence[Answer], theirs: Sequence[Answer], ordered: bool, rules: Conventions) -> bool:
    if max(len(ours), len(theirs)) > _MEMBERS:
        return False
    if not ordered and len(ours) != len(theirs):  # a value given twice is one value
        ours, theirs = _distinct(ours, rules), _distinct(theirs, rules)
    left = list(theirs)
    for part in ours:
        match = next((other for other in left[: 1 if ordered else None] if same(part, other, rules)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _distinct(parts: Sequence[Answer], rules: Conventions) -> list[Answer]:
    """Each value once; the names of a = b = 4 share one."""
    found: list[Answer] = []
    for part in (part if part.tokens else _bare(part) for part in parts):
        found += [part] * (not any(same(part, other, rules) for other in found))
    return found
