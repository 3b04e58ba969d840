"""Numbers in words."""

from __future__ import annotations

import pytest
import sympy

from mentor_pl.rewards.answers.lexer import tokenise
from mentor_pl.rewards.answers.words import number_in_words

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
        ("three and a half", R(7, 2), ""),
        ("zero", R(0), ""),
        ("12^{th} grade", R(12), ""),
        ("3^{rd}", R(3), ""),
        ("twelve apples", R(12), "apples"),
        ("twenty twelve", R(20), "twelve"),  # no number is said so
        ("five ten", R(5), "ten"),
    ],
)
def test_numbers_in_words_are_read_with_what_stands_behind_them(text: str, number: sympy.Expr, behind: str) -> None:
    found = number_in_words(tokenise(text))
    assert found is not None
    assert (found[0], " ".join(found[1])) == (number, behind)


@pytest.mark.parametrize("text", ["12", "12 apples", "x", "apples", "a cat", "million", "and five", ""])
def test_what_has_no_number_in_words_in_front_is_left_alone(text: str) -> None:
    assert number_in_words(tokenise(text)) is None
