r"""What an answer can be: a value, a group of answers, a named one, a relation, or text that is not read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mentor_pl.rewards.answers.tokens import Tokens
from mentor_pl.rewards.answers.units import PLAIN


@dataclass(frozen=True)
class Answer:
    """Any answer; as it is, one that is not read, which math-verify may judge.

    Attributes:
        tokens: what it is read from.
    """

    tokens: Tokens

    @property
    def key(self) -> str:
        """What two answers share if they are spelled alike."""
        return " ".join(self.tokens)


class Spelled(Answer):
    """Words, or text that says nothing, two things, or too much: it equals what is spelled alike, and is not judged."""


@dataclass(frozen=True)
class Value(Answer):
    """A number or a formula: sympy's expression, the percent sign and the unit aside; the decimal places as written,
    None for anything but a decimal; whether a percent sign follows; what it is measured in, in base units."""

    expression: Any
    places: int | None = None
    percent: bool = False
    unit: Any = PLAIN


LABEL = "label: "  # in front of a name that only says what follows


@dataclass(frozen=True)
class Named(Answer):
    """A value with the name of what has it: `x = 5`, `x \\in S`, and `f(n) = 2n`, whose name has a variable."""

    name: str
    variable: str
    value: Answer


@dataclass(frozen=True)
class Relation(Answer):
    """An equation or an inequality of two formulas: `difference sign 0`, where the sign is =, <, ≤ (`\\leq`) or ≠."""

    sign: str
    difference: Any


@dataclass(frozen=True)
class Group(Answer):
    """Several answers in their order. Its kind is `list`, `set`, `union`, `ratio`, `matrix` (of rows), `determinant`,
    `residue` (number and modulus), `base` (digits and base), `time` (minutes of a day), or the two brackets of a tuple
    or an interval, such as `(]`."""

    kind: str
    parts: tuple[Answer, ...]
