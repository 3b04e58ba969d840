"""One spelling for the many ways to write the same, and equality of strings."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.answers.text import MAX_ANSWER, enclosed, key, nesting, same_text, split_list, tidy, unwrap


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        (r"\dfrac12", r"\frac{1}{2}"),
        (r"\left( 1, 2 \right)", "( 1, 2 )"),
        ("π/2", r"\pi /2"),
        ("x²", "x^{2}"),
        ("√3", r"\sqrt{3}"),
        (r"\sqrt2", r"\sqrt{2}"),
        (r"30^\circ", r"30^{\circ}"),
        ("3 x 10^4", r"3 \times 10^4"),
        (r"50%", r"50\%"),
        ("a <= b", r"a \leq b"),
        (r"12{,}500", "12,500"),
        ("\x0crac{1}{2}", r"\frac{1}{2}"),  # a backslash lost to a string escape
        ("$5$.", "5"),
    ],
)
def test_each_way_of_writing_has_one_spelling(text: str, tidied: str) -> None:
    assert tidy(text) == tidied


@pytest.mark.parametrize(
    ("text", "inside"),
    [("{5}.", "5"), (r"\text{yes}", "yes"), ("{1}{2}", "{1}{2}"), ("7;", "7"), ("", "")],
)
def test_what_only_wraps_the_whole_is_taken_off(text: str, inside: str) -> None:
    assert unwrap(text) == inside


def test_keys_leave_out_spaces_and_the_case_of_words_but_not_the_space_of_a_mixed_number() -> None:
    assert key("The Circle") == key("circle")
    assert key("x + 1") == key("x+1")
    assert key("1 1/2") != key("11/2")
    assert key("AB") != key("Ab x")


@pytest.mark.parametrize(
    ("answer", "reference", "same"),
    [
        (r"\dfrac{1}{2}", r"\frac12", True),
        ("Friday", r"\text{friday}", True),
        ("0.5", r"\frac12", False),  # equal as numbers, not as strings
        ("", "", False),
        (" ", " ", False),
        ("." * (MAX_ANSWER + 1), ".", False),
    ],
)
def test_equal_strings(answer: str, reference: str, same: bool) -> None:
    assert same_text(answer, reference) is same


def test_lists_are_split_at_the_top_level_alone() -> None:
    assert split_list("(1, 2), [3, 4); 5") == ["(1, 2)", "[3, 4)", "5"]
    assert split_list(r"1 \text{ and } 2 or 3") == ["1", "2", "3"]
    assert split_list("7") == ["7"]
    assert split_list(" , ") == []


def test_brackets_enclose_only_where_one_pair_spans_the_whole() -> None:
    assert enclosed("(1, 2)") == ("(", "1, 2", ")")
    assert enclosed(r"\{1\}") == (r"\{", "1", r"\}")
    assert enclosed("[0, 1)") == ("[", "0, 1", ")")
    assert enclosed("(1)(2)") is None
    assert enclosed("1") is None


def test_nesting_is_the_greatest_depth() -> None:
    assert [nesting(text) for text in ("1", "(1)", "([{1}])", "(1)(2)")] == [0, 1, 3, 1]
