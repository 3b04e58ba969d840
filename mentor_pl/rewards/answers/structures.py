r"""Structures with a notation of their own: matrices, residues, numbers with a base, ratios, times of day, ±.

Each function takes the tokens of one answer and what reads a part of it; None says that the notation is another.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import sympy

from mentor_pl.rewards.answers.answer import Answer, Group, Nonsense, Value, Words
from mentor_pl.rewards.answers.tokens import Token, split

Reading = Callable[[tuple[Token, ...]], Answer]

_BASES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_MATRIX = re.compile(r"\\begin\{([pbBvV]?matrix|smallmatrix|array|cases)\}")
_RESIDUE = re.compile(r"(.+) (?:\\pmod \{ (\d+) \}|\( (?:\\pmod \{|mod) (\d+)(?: \})? \)|\\bmod (\d+))")
_BASED = re.compile(r"\(?(-?[0-9A-F.]+)\)?(?:_\{\(?(?:base)?(\d+|[a-z]+)\)?\}|\(?base(\d+)\)?)")
_TIME = re.compile(r"(\d{1,2})(?::(\d\d))?([ap])\.?m", re.IGNORECASE)


def matrix(tokens: tuple[Token, ...], read: Reading) -> Answer | None:
    """Rows of entries; those of a determinant are no matrix."""
    if len(tokens) > 3 and tokens[0] in ("(", "[") and tokens[1].startswith(r"\begin"):
        tokens = tokens[1:-1]
    start = next((place for place, token in enumerate(tokens) if token.startswith(r"\begin")), 0)
    if start and tokens[-1].startswith(r"\end"):
        return _multiple(tokens, start - (tokens[start - 1] == "*"), matrix(tokens[start:], read), read)
    match = _MATRIX.fullmatch(tokens[0]) if tokens else None
    if match is None or not tokens[-1].startswith(r"\end") or any(t.startswith(r"\begin") for t in tokens[1:]):
        return None
    rows = [row for row in split(tokens[1:-1], r"\\".__eq__)[0] if row]
    found = [Group(row, "()", tuple(map(read, split(row, "&".__eq__)[0]))) for row in rows]
    if match[1] == "array" and len(found) == len(found[0].parts) == 1:
        return found[0].parts[0]
    if match[1] == "cases":  # of formulas with their conditions, or a system of equations
        system = all(len(row.parts) == 1 for row in found)
        return Group(tokens, "list" if system else "cases", tuple(row.parts[0] if system else row for row in found))
    return Group(tokens, "determinant" if match[1] in ("vmatrix", "Vmatrix") else "matrix", tuple(found))


def _multiple(tokens: tuple[Token, ...], end: int, entries: Answer | None, read: Reading) -> Answer | None:
    """A number or a formula times a matrix: the matrix of the products."""
    if not isinstance(entries, Group) or entries.kind != "matrix":
        return None
    factor = read(tokens[:end]) if end else None
    rows = [row.parts for row in entries.parts if isinstance(row, Group)]
    values = [[entry.expression for entry in row if isinstance(entry, Value)] for row in rows]
    if not isinstance(factor, Value) or sum(map(len, values)) != sum(map(len, rows)):
        return Nonsense(tokens)
    products = (Group((), "()", tuple(Value((), factor.expression * value) for value in row)) for row in values)
    return Group(tokens, "matrix", tuple(products))


def residue(tokens: tuple[Token, ...], read: Reading) -> Answer | None:
    """`2 \\pmod 5`, `2 (mod 5)`, `2 \\bmod 5`."""
    match = _RESIDUE.fullmatch(" ".join(tokens))
    if match is None:
        return None
    modulus = sympy.Integer(match[2] or match[3] or match[4])
    return Group(tokens, "residue", (read(tokens[: len(match[1].split(" "))]), Value((), modulus)))


def based(tokens: tuple[Token, ...], read: Reading) -> Answer | None:
    """`101_2`, `(101)_{two}`: digits with a base."""
    match = _BASED.fullmatch("".join(tokens))
    name = (match[2] or match[3]) if match else ""
    base = int(name) if name.isdigit() else _BASES.get(name)
    if not match or not base or (match[1].isalpha() and base < 11):
        return None
    number = match[1].removeprefix("-").replace(".", "", 1).isdigit()
    digits = read((Token(match[1]),)) if number else Words((), match[1])
    return Group(tokens, "base", (digits, Value((), sympy.Integer(base))))


def ratio(tokens: tuple[Token, ...], read: Reading) -> Answer | None:
    """`3:4`, `3 \\text{ to } 4`, and a time of day: `3:30 p.m.`."""
    if match := _TIME.fullmatch("".join(tokens)):
        minutes = 60 * (int(match[1]) % 12 + 12 * (match[3] in "pP")) + int(match[2] or 0)
        return Group(tokens, "time", (Value((), sympy.Integer(minutes)),))
    parts, signs = split(tokens, (":", "to").__contains__)
    if not signs or not all(parts):
        return None
    found = tuple(map(read, parts))
    return Group(tokens, "ratio", found) if all(isinstance(part, Value) for part in found) else Answer(tokens)


def plus_minus(tokens: tuple[Token, ...], read: Reading) -> Answer | None:
    """`a \\pm b` as a list of its two values."""
    if r"\pm" not in tokens and r"\mp" not in tokens:
        return None
    both = ({r"\pm": "+", r"\mp": "-"}, {r"\pm": "-", r"\mp": "+"})
    found = [read(tuple(Token(signs.get(t, t), t.gap, t.upright) for t in tokens)) for signs in both]
    return Group(tokens, "list", tuple(found))
