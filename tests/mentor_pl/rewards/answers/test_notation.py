"""Conventions of writing, one at a time."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize(
    ("ours", "theirs", "sides"),
    [
        ("x = 5", "5", ("5", "5")),
        ("x = 5", "x = 6", ("5", "6")),
        ("x = 1", "y = 1", ("x = 1", "y = 1")),
        (r"x \in S", "S", ("S", "S")),
        ("Maximum: 7", "7", ("7", "7")),
        ("3/4 = 0.75", "0.75", ("0.75", "0.75")),
        ("f(m) = 2m", "f(n) = 2n", ("2n", "2n")),
        ("2y = 6x + 4", "y = 3x + 2", ("2y = 6x + 4", "y = 3x + 2")),
        ("x > 3", "x > 3", ("x > 3", "x > 3")),
    ],
)
def test_names_in_front_are_dropped_unless_they_name_different_things(
    ours: str, theirs: str, sides: tuple[str, str]
) -> None:
    assert right_side(ours, theirs) == sides


def test_values_of_different_functions_are_told_apart() -> None:
    assert other_quantity("P(A) = 1", "P(B) = 1")
    assert not other_quantity("P(A) = 1", "P(A) = 2")
    assert not other_quantity("P(A) = 1", "1")
    assert [named(text) for text in ("x = 5", r"x \in S", "5", "7 = 11a + c")] == [True, True, False, False]


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ("204_5", "204_{5}", "equal"),
        (r"1011_{\text{two}}", "1011_2", "equal"),
        ("204_5", "204_6", "different"),
        ("203_5", "204_5", "different"),
        ("204", "204_5", "dropped"),
        ("204", "204", ""),
        ("a_1", "a_1", ""),  # an index, not a base
    ],
)
def test_bases(ours: str, theirs: str, verdict: str) -> None:
    assert base_suffix(ours, theirs) == verdict


@pytest.mark.parametrize(
    ("text", "letter"), [("C", "C"), ("(C)", "C"), ("C.", "C"), ("(C) 42", "C"), ("C 42", ""), ("K", ""), ("Cat", "")]
)
def test_letters_of_choices(text: str, letter: str) -> None:
    assert choice_letter(text) == letter


def test_a_letter_alone_has_no_text_behind_it() -> None:
    assert [choice_letter(text, alone=True) for text in ("(C).", "(C) 42")] == ["C", ""]


def test_a_label_or_a_modulus_is_dropped_where_the_other_has_none() -> None:
    assert without_label("(C) 42", "42") == ("42", "42")
    assert without_label("(C) 42", "(D) 42") == ("(C) 42", "(D) 42")
    assert residue(r"3 \pmod{5}", "3") == ("3", "3")
    assert residue(r"3 \pmod{5}", r"3 \pmod{7}") == (r"3 \pmod{5}", r"3 \pmod{7}")


def test_plus_minus_is_two_values_and_the_signs_go_together() -> None:
    assert plus_minus(r"1 \pm 2 \mp 3") == ["1 + 2 - 3", "1 - 2 + 3"]
    assert plus_minus(r"\pm 2") == [" 2", "- 2"]
    assert plus_minus("2") == ["2"]


def test_matrices_are_read_row_by_row() -> None:
    rows = [["1", "2"], ["3", "4"]]
    assert matrix_rows(r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}") == rows
    assert matrix_rows("[[1, 2], [3, 4]]") == rows
    assert matrix_rows("(1, 2)") is None


def test_clauses_on_where_it_holds_are_dropped() -> None:
    assert without_domain(r"2k, k \in \mathbb{Z}") == "2k"
    assert without_domain("x for all x") == "x"
    assert without_domain("x + 1") == "x + 1"
