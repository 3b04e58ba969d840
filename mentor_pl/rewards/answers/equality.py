r"""Whether an answer equals a reference: strings first, then structure, then plain numbers, then algebra.

    text        tidied keys agree, words in any case                     \text{Evelyn} = evelyn
    structure   lists in any order, tuples and intervals in theirs       3, 7, 5 = 5, 3, 7;  k < -5 = (-\infty, -5)
    numbers     exactly, as fractions                                    0.5 = \frac12
    algebra     math-verify                                              \sqrt{117} = 3\sqrt{13}

`grade` is the task that the worker pool runs: this module and those it imports stay free of torch. Algebra may run
without bound on hostile input, so nothing but a worker should call it.
"""

from __future__ import annotations

import re
from typing import Any

from mentor_pl.rewards.answers import numbers
from mentor_pl.rewards.answers.algebra import algebra_equal
from mentor_pl.rewards.answers.intervals import interval_of, other_variable
from mentor_pl.rewards.answers.notation import (
    base_suffix,
    choice_letter,
    matrix_rows,
    named,
    other_quantity,
    plus_minus,
    residue,
    right_side,
    without_domain,
    without_label,
)
from mentor_pl.rewards.answers.rules import Conventions
from mentor_pl.rewards.answers.text import (
    MAX_ANSWER,
    NESTING,
    enclosed,
    key,
    nesting,
    same_text,
    split_list,
    tidy,
    unwrap,
)
from mentor_pl.rewards.answers.units import DEGREE, currency_clash, degrees_to_radians, split_unit, units_clash
from mentor_pl.rewards.answers.words import in_digits, same_time

_DEPTH = 6  # lists in lists; deeper ones are compared as a whole
_MEMBERS = 64  # elements of a list that are matched pair by pair


def grade_request(item: dict[str, Any]) -> bool:
    """The worker pool's task: is the answer right? Whatever cannot be read is not."""
    try:
        return equal(item["answer"], item["reference"], Conventions(**item["conventions"]))
    except (RecursionError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError, NotImplementedError):
        return False


def equal(answer: str, reference: str, conventions: Conventions) -> bool:
    """Whether `answer` equals `reference`. Run it in a worker only: it may take any time."""
    if same_text(answer, reference):
        return True
    if max(nesting(answer), nesting(reference)) > NESTING or max(len(answer), len(reference)) > MAX_ANSWER:
        return False
    if currency_clash(answer, reference) or currency_clash(reference, answer):
        return False
    ours, theirs = tidy(answer), tidy(reference)
    if not ours or not theirs:
        return False
    return _same(ours, theirs, conventions, 0)


def _same(ours: str, theirs: str, rules: Conventions, depth: int) -> bool:
    if key(ours) == key(theirs):
        return True
    if rules.letters == "optional" and (letter := choice_letter(theirs, alone=True)):
        chosen = choice_letter(ours)
        if chosen:
            return chosen == letter
    ours, theirs = in_digits(ours), in_digits(theirs)
    if (same := same_time(ours, theirs, rules.units == "require")) is not None:
        return same
    if rules.letters == "optional":
        ours, theirs = without_label(ours, theirs)
    # An exact value with its approximation counts as the exact one.
    ours, theirs = (without_domain(unwrap(text.partition(r"\approx")[0]) or text) for text in (ours, theirs))
    if rules.left_side == "require" and named(ours) != named(theirs):
        return False
    ours, theirs = right_side(ours, theirs)
    if other_quantity(ours, theirs):
        return False
    ours, theirs = residue(unwrap(ours), unwrap(theirs))
    (ours, our_unit), (theirs, their_unit) = split_unit(ours), split_unit(theirs)
    if units_clash(our_unit, their_unit) or (rules.units == "require" and bool(our_unit) != bool(their_unit)):
        return False
    if verdict := base_suffix(ours, theirs):
        return verdict == "equal" or (verdict == "dropped" and rules.base_suffix == "optional")
    if key(ours) == key(theirs):
        return bool(key(ours))
    a, b = numbers.read(ours), numbers.read(theirs)
    if a and b:
        return numbers.equal_numbers(a, b, rules.percent, rules.decimals, rules.tolerance)
    if (a or b) and _decimal_comma(ours, theirs):
        return True
    if not other_variable(ours, theirs):
        ours, theirs = interval_of(ours), interval_of(theirs)
    if rules.units == "require" and (DEGREE in ours) != (DEGREE in theirs) and r"\pi" not in ours + theirs:
        return False
    ours, theirs = degrees_to_radians(ours, theirs)
    if depth < _DEPTH:
        verdict_ = _same_structure(ours, theirs, rules, depth)
        if verdict_ is not None:
            return verdict_
    return algebra_equal(ours, theirs, rules.percent, rules.decimals, rules.tolerance)


def _same_structure(ours: str, theirs: str, rules: Conventions, depth: int) -> bool | None:
    """The verdict on lists, sets, tuples, intervals and unions; None where neither side is one."""
    a, b = _members(ours), _members(theirs)
    if a is None and b is None:
        return None
    (kind_a, parts_a), (kind_b, parts_b) = a or ("single", [ours]), b or ("single", [theirs])
    if "matrix" in (kind_a, kind_b):
        return _same_matrix(ours, theirs, rules, depth)
    if {kind_a, kind_b} <= {"list", "single"}:  # a list of values is a set: a value given twice is one value
        parts_a, parts_b = (list({key(part): part for part in parts}.values()) for parts in (parts_a, parts_b))
    if len(parts_a) != len(parts_b) or len(parts_a) > _MEMBERS:
        return None if "single" in (kind_a, kind_b) and r"\set" in ours + theirs else False
    kinds = {kind_a, kind_b}
    if len(kinds) == 2 and not (kinds <= {"list", "union", "single"} or kinds <= {"list", "()"}):
        return None if "single" in kinds else False
    ordered = "()" in kinds and rules.tuple_order == "keep"
    ordered = ordered or (kinds == {"list"} and rules.list_order == "keep")
    ordered = ordered or bool(kinds & {"[)", "(]", "[]"})
    if ordered:
        return all(_same(x, y, rules, depth + 1) for x, y in zip(parts_a, parts_b, strict=True))
    left = list(parts_b)
    for part in parts_a:
        match = next((other for other in left if _same(part, other, rules, depth + 1)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _same_matrix(ours: str, theirs: str, rules: Conventions, depth: int) -> bool | None:
    """Matrices entry by entry; a row or a column vector may also be written as a tuple."""
    a, b = matrix_rows(ours), matrix_rows(theirs)
    if a is None or b is None:
        rows, text = (a, theirs) if a is not None else (b, ours)
        brackets = enclosed(text)
        if rows is None or brackets is None or min(len(rows), len(rows[0])) != 1:
            return None
        a, b = [[entry for row in rows for entry in row]], [split_list(brackets[1])]
    if [len(row) for row in a] != [len(row) for row in b] or sum(len(row) for row in a) > _MEMBERS:
        return False
    pairs = zip((entry for row in a for entry in row), (entry for row in b for entry in row), strict=True)
    return all(_same(x, y, rules, depth + 1) for x, y in pairs)


def _members(text: str) -> tuple[str, list[str]] | None:
    """Kind and elements of a collection: `list` (also a set), `union`, or the brackets of a tuple or interval."""
    if matrix_rows(text) is not None:
        return "matrix", []
    if len(union := _split_union(text)) > 1:
        return "union", union
    if brackets := enclosed(text):
        opening, inside, closing = brackets
        parts = [part for element in split_list(inside) for part in plus_minus(element)]
        if opening == r"\{":
            return None if "|" in inside else ("list", parts)
        if opening == r"\langle" or (len(parts) > 2 and opening + closing in ("()", "[]")):
            return "()", parts
        if len(parts) > 2:
            return opening + closing, parts
        if len(parts) == 2:
            return opening + closing, parts
        return None
    parts = [part for element in split_list(text) for part in plus_minus(element)]
    return ("list", parts) if len(parts) > 1 and numbers.read(text) is None else None


def _split_union(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    position = 0
    while position < len(text):
        character = text[position]
        depth += (character in "([{") - (character in ")]}")
        if text.startswith(r"\cup", position):  # brackets of half-open intervals balance by count, not by kind
            if depth == 0:
                parts.append(text[start:position].strip())
                start = position + 4
            position += 4
        else:
            position += 1
    return [*parts, text[start:].strip()]


def _decimal_comma(ours: str, theirs: str) -> bool:
    """1000,99 for 1000.99: a comma for the point. A reference of 8,12 is two numbers, though one of 0,125 is not; 8, 12
    with a space is two in either place."""
    if re.fullmatch(r"0,\d{3,}", theirs):
        ours, theirs = theirs, ours
    return ours.count(",") == 1 and "." in theirs and ours.replace(",", ".").strip() == theirs.strip()
