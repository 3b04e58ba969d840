"""Numbers in words."""

from __future__ import annotations

import pytest
import sympy

from mentor_pl.rewards.answers.answer import Value
from mentor_pl.rewards.answers.lexer import tokenise
from mentor_pl.rewards.answers.reader import read
from mentor_pl.rewards.answers.units import PLAIN, in_base, unit_of
from mentor_pl.rewards.answers.words import in_digits

R = sympy.Rational


@pytest.mark.parametrize(
    ("text", "number", "behind"),
    [
        ("twelve", R(12), ""),
        ("Twenty-five", R(25), ""),
        ("two hundred", R(200), ""),
        ("one hundred and five", R(105), ""),
        ("thirty thousand", R(30_000), ""),
        ("1.5 million people", R(1_500_000), "people"),
        ("3 dozen", R(36), ""),
        ("a dozen eggs", R(12), "eggs"),
        ("1,200 thousand", R(1_200_000), ""),
        ("two thirds", R(2, 3), ""),
        ("5 tenths", R(1, 2), ""),
        ("zero", R(0), ""),
        ("12^{th} grade", R(12), ""),
        ("3^{rd}", R(3), ""),
        ("twelve apples", R(12), "apples"),
        ("negative seven", R(-7), ""),
        ("one-half", R(1, 2), ""),
        ("three and a half", R(7, 2), ""),
    ],
)
def test_numbers_in_words_are_read_with_what_stands_behind_them(text: str, number: sympy.Expr, behind: str) -> None:
    found = read(text)
    assert isinstance(found, Value)
    assert (found.expression, found.unit) == (number, in_base(unit_of(behind)) if behind else PLAIN)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("twenty twelve", "20 12"),  # no number is said so
        ("five ten", "5 10"),
        ("twelve and five", "12 and 5"),
        *((text, text) for text in ("12", "12 apples", "x", "apples", "a cat", "million", "")),
    ],
)
def test_what_is_no_number_in_words_is_left_alone(text: str, tokens: str) -> None:
    assert " ".join(in_digits(tokenise(text))) == tokens
    assert not isinstance(read("twenty twelve"), Value)
