"""Brackets between tokens, and braces around arguments."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.answers.tokens import (
    MAX_ANSWER,
    MAX_NESTING,
    Token,
    depths,
    nesting,
    readable,
    split,
    with_arguments,
)


def made(text: str) -> list[Token]:
    return [Token(spelling) for spelling in text.split()]


@pytest.mark.parametrize(
    ("text", "open_ones"),
    [
        ("a ( b ) c", [0, 0, 1, 0, 0]),
        (r"[ \{ 1 \} )", [0, 1, 2, 1, 0]),  # half-open intervals close too
        (r"\begin{pmatrix} 1 & 2 \end{pmatrix}", [0, 1, 1, 1, 0]),
        (r"\lfloor x \rfloor", [0, 1, 0]),
    ],
)
def test_depth_counts_the_brackets_that_are_open(text: str, open_ones: list[int]) -> None:
    assert depths(made(text)) == open_ones


def test_parts_are_split_outside_brackets_alone() -> None:
    parts, cuts = split(made(r"( 1 , 2 ) , 3 , \{ 4 , 5 \}"), ",".__eq__)
    assert [" ".join(part) for part in parts] == ["( 1 , 2 )", "3", r"\{ 4 , 5 \}"]
    assert cuts == [",", ","]
    assert split([], ",".__eq__) == ([()], [])


@pytest.mark.parametrize(
    ("text", "braced"),
    [
        (r"\frac 12", r"\frac { 1 } { 2 }"),  # of a number a digit
        (r"\frac x { y + 1 }", r"\frac { x } { y + 1 }"),
        ("x ^ 12", "x ^ { 12 }"),  # all of a number, as plain text means it
        ("x ^ - 2", "x ^ { - 2 }"),
        ("v ^ 2 _ 0", "v _ { 0 } ^ { 2 }"),  # the index first
        ("x ^ ab", "x ^ { a } b"),
        ("x ^ ( n + 1 )", "x ^ { n + 1 }"),
        (r"\sqrt 2 x", r"\sqrt { 2 } x"),
        (r"\sqrt [ 3 ] x", r"\sqrt [ 3 ] { x }"),
        (r"\sqrt ( x + 1 )", r"\sqrt { x + 1 }"),
        ("{ x + 1 } ^ 2", "{ x + 1 } ^ { 2 }"),  # these braces hold the base together
        ("{ { x } + 1 }", "x + 1"),  # these only group
        (r"{ 3 \over 4 }", r"\frac { 3 } { 4 }"),
        (r"\frac 1", r"\frac { 1 } { }"),  # never an error
        ("x ^", "x"),
        ("} x {", "x"),
    ],
)
def test_every_argument_has_braces_and_nothing_else_has(text: str, braced: str) -> None:
    assert " ".join(with_arguments(made(text))) == braced


def test_what_is_read_is_bounded_in_length_and_depth() -> None:
    assert [nesting(text) for text in ("1", "(1)", "([{1}])", "(1)(2)")] == [0, 1, 3, 1]
    assert readable("(" * MAX_NESTING + ")" * MAX_NESTING)
    assert not readable("(" * (MAX_NESTING + 1) + ")" * (MAX_NESTING + 1))
    assert readable("1" * MAX_ANSWER)
    assert not readable("1" * (MAX_ANSWER + 1))
