"""Pairs of brackets as tokens, and braces around arguments."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.answers.lexer import MAX_ANSWER, MAX_NESTING, tokenise
from mentor_pl.rewards.answers.tokens import Token, compact, flat, split


@pytest.mark.parametrize(
    ("text", "tokens", "kind", "inside"),
    [
        ("a ( b ) c", ["a", "( b )", "c"], "()", ["b"]),
        (r"x [ \{ 1 \} )", ["x", r"[ \{ 1 \} )"], "[)", [r"\{ 1 \}"]),  # half-open intervals close too
        (
            r"x \begin{pmatrix} 1 & 2 \end{pmatrix}",
            ["x", r"\begin{pmatrix} 1 & 2 \end{pmatrix}"],
            r"\begin{pmatrix}\end{pmatrix}",
            ["1", "&", "2"],
        ),
        (r"x \lfloor y \rfloor", ["x", r"\lfloor y \rfloor"], r"\lfloor\rfloor", ["y"]),
        ("x ( y", ["x", "(", "y"], "", []),  # never closed
        ("x { ( y } )", ["x", "(", "y", ")"], "", []),
    ],
)
def test_a_pair_of_brackets_is_a_token_with_tokens_inside(
    text: str, tokens: list[str], kind: str, inside: list[str]
) -> None:
    found = tokenise(text)
    assert list(found) == tokens
    assert (found[1].kind, list(found[1].inside)) == (kind, inside)
    assert compact(found) == text.replace(" ", "").replace("{(y})", "(y)") and flat(found) == " ".join(tokens).split()


def test_parts_are_split_outside_brackets_alone() -> None:
    parts, cuts = split(tokenise(r"( 1 , 2 ) , 3 , \{ 4 , 5 \}"), ",".__eq__)
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
    assert " ".join(tokenise(text)) == braced


def test_what_is_read_is_bounded_in_length_and_depth() -> None:
    assert tokenise("(" * MAX_NESTING + ")" * MAX_NESTING)
    assert not tokenise("(" * (MAX_NESTING + 1) + ")" * (MAX_NESTING + 1))
    assert tokenise("1" * MAX_ANSWER) == (Token("1" * MAX_ANSWER),)
    assert not tokenise("1" * (MAX_ANSWER + 1))
