"""Sets of real numbers, there and back."""

from __future__ import annotations

import pytest
import sympy

from mentor_pl.rewards.answers.answer import Group
from mentor_pl.rewards.answers.reader import read
from mentor_pl.rewards.answers.sets import NAMED_SETS, as_answer, as_set

oo = sympy.oo
Interval = sympy.Interval


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(1, 2]", Interval.Lopen(1, 2)),
        (r"[0, \infty)", Interval(0, oo)),
        (r"(-\infty, \frac12)", Interval.open(-oo, sympy.Rational(1, 2))),
        (r"(-\infty,1) \cup [2, 3]", sympy.Union(Interval.open(-oo, 1), Interval(2, 3))),
        (r"(0,2] \cup [1,3)", Interval.open(0, 3)),
        (r"\{1, 2, 2\}", sympy.FiniteSet(1, 2)),
        (r"\mathbb{R}", sympy.S.Reals),
        ("all real numbers", sympy.S.Reals),
        (r"\mathbb{R} \setminus \{0\}", sympy.Union(Interval.open(-oo, 0), Interval.open(0, oo))),
        (r"(0,9) - \{4\}", sympy.Union(Interval.open(0, 4), Interval.open(4, 9))),
        (r"[0,5] \cap [3,9]", Interval(3, 5)),
        (r"[0,1] \cap [3,9]", sympy.S.EmptySet),
        (r"\emptyset", sympy.S.EmptySet),
        (r"2 \leq x < 7", Interval.Ropen(2, 7)),
        (r"7 > x \geq 2", Interval.Ropen(2, 7)),
        ("3 > x", Interval.open(-oo, 3)),
        (r"x < 1 \text{ or } x > 4", sympy.Union(Interval.open(-oo, 1), Interval.open(4, oo))),
        (r"x > 1 \text{ and } x \leq 4", Interval.Lopen(1, 4)),
        (r"x \neq 2", sympy.Union(Interval.open(-oo, 2), Interval.open(2, oo))),
        (r"|x| \leq 3", Interval(-3, 3)),
        ("x^2 > 4", sympy.Union(Interval.open(-oo, -2), Interval.open(2, oo))),
        ("2x + 1 < 5", Interval.open(-oo, 2)),
        (r"\{x \mid x > 3\}", Interval.open(3, oo)),
        (r"x \in [1, 2]", Interval(1, 2)),
    ],
)
def test_intervals_inequalities_and_their_unions_are_sets(text: str, found: sympy.Set) -> None:
    assert as_set(read(text)) == found


@pytest.mark.parametrize("text", ["5", "(1, 2, 3)", "1, 2", "(1+i, 2)", "(3, 1)", r"\text{red}"])
def test_other_answers_are_no_sets_of_real_numbers(text: str) -> None:
    assert as_set(read(text)) is None


@pytest.mark.parametrize(
    "found",
    [Interval(0, 1), Interval.Ropen(0, oo), Interval.open(-oo, 3), sympy.FiniteSet(1, 2), sympy.S.EmptySet,
     sympy.S.Reals, sympy.Union(Interval.open(0, 1), sympy.FiniteSet(4), Interval(5, 6))],
)  # fmt: skip
def test_a_set_survives_being_an_answer(found: sympy.Set) -> None:
    answer = as_answer((), found)
    assert answer is not None
    assert as_set(answer) == found


def test_no_other_set_is_an_answer() -> None:
    assert as_answer((), sympy.S.Integers) is None
    reals = as_answer((), sympy.S.Reals)
    assert isinstance(reals, Group) and (reals.kind, reals.parts) == (
        NAMED_SETS[r"\mathbb{R}"].kind,
        NAMED_SETS[r"\mathbb{R}"].parts,
    )
    empty = as_answer((), sympy.S.EmptySet)
    assert isinstance(empty, Group) and (empty.kind, empty.parts) == ("set", ())
