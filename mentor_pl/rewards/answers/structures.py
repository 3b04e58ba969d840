r"""Structures with a notation of their own: matrices, residues, numbers with a base, ratios, times of day, ±.

Each function takes the tokens of one answer and what reads a part of it; None says that the notation is another.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import sympy

from mentor_pl.rewards.answers.answer import Answer, Group, Spelled, Value
from mentor_pl.rewards.answers.tokens import Token, Tokens, compact, split
from mentor_pl.rewards.answers.words import VALUES

Reading = Callable[[Tokens], Answer]

_MATRIX = re.compile(r"\\begin\{([pbBvV]?matrix|smallmatrix|array|cases)\}.*")
_MODULUS = re.compile(r"\\[pb]mod\{?(\d+)\}?|\((?:\\pmod\{|mod)(\d+)\}?\)")
_BASED = re.compile(r"\(?(-?[0-9A-F.]+)\)?(?:_\{\(?(?:base)?(\d+|[a-z]+)\)?\}|\(?base(\d+)\)?)")
_TIME = re.compile(r"(\d{1,2})(?::(\d\d))?([ap])\.?m", re.IGNORECASE)


def matrix(tokens: Tokens, read: Reading) -> Answer | None:
    """Rows of entries, perhaps behind a factor; those of a determinant are no matrix."""
    last = tokens[-1] if tokens else Token("")
    last = last.inside[0] if last.kind in ("()", "[]") and len(last.inside) == 1 else last
    match = _MATRIX.fullmatch(last.kind)
    if match is None:
        return None
    rows = [[read(entry) for entry in split(row, "&".__eq__)[0]] for row in split(last.inside, r"\\".__eq__)[0] if row]
    if tokens[:-1]:
        values: list[Any] = [read(tokens[:-2] if tokens[-2] == "*" else tokens[:-1]), *itertools.chain(*rows)]
        if not all(isinstance(value, Value) for value in values):
            return Spelled(tokens)
        products = (Value((), values[0].expression * entry.expression) for entry in values[1:])
        rows = [list(itertools.islice(products, len(row))) for row in rows]
    if match[1] == "array" and len(rows) == len(rows[0]) == 1:
        return rows[0][0]
    if match[1] == "cases" and all(len(row) == 1 for row in rows):
        return Group(tokens, "list", tuple(row[0] for row in rows))  # a system of equations
    kind = {"cases": "cases", "vmatrix": "determinant", "Vmatrix": "determinant"}.get(match[1], "matrix")
    return matrix_of(tokens, rows, kind)


def matrix_of(tokens: Tokens, rows: Sequence[Sequence[Answer]], kind: str = "matrix") -> Group:
    """Rows, or the entries of a single row or column."""
    if kind == "matrix" and min(len(rows), len(rows[0])) == 1:
        return Group(tokens, "row" if len(rows) == 1 else "column", tuple(entry for row in rows for entry in row))
    return Group(tokens, kind, tuple(Group((), "()", tuple(row)) for row in rows))


def residue(tokens: Tokens, read: Reading) -> Answer | None:
    """`2 \\pmod 5`, `2 (mod 5)`, `2 \\bmod 5`."""
    for place in range(1, len(tokens)):
        if match := _MODULUS.fullmatch(compact(tokens[place:])):
            return Group(tokens, "residue", (read(tokens[:place]), Value((), sympy.Integer(match[1] or match[2]))))
    return None


def based(tokens: Tokens, read: Reading) -> Answer | None:
    """`101_2`, `(101)_{two}`: digits with a base."""
    match = _BASED.fullmatch(compact(tokens))
    name = (match[2] or match[3]) if match else ""
    base = int(name) if name.isdigit() else VALUES.get(name)
    if not match or not base:
        return None
    return Group(tokens, "base", (Spelled((Token(match[1]),)), Value((), sympy.Integer(base))))


def ratio(tokens: Tokens, read: Reading) -> Answer | None:
    """`3:4`, `3 \\text{ to } 4`, and a time of day: `3:30 p.m.`."""
    if match := _TIME.fullmatch(compact(tokens)):
        hour = int(match[1])
        hour = hour % 12 + 12 * (match[3] in "pP") if hour < 13 else hour
        return Group(tokens, "time", (Value((), sympy.Integer(60 * hour + int(match[2] or 0))),))
    parts, signs = split(tokens, (":", "to").__contains__)
    if not signs or not all(parts):
        return None
    found = [part.expression for part in map(read, parts) if isinstance(part, Value)]
    if len(found) != len(parts):
        return Answer(tokens)
    return Group(tokens, "ratio", tuple(Value((), number if 0 in found else number / found[0]) for number in found))
