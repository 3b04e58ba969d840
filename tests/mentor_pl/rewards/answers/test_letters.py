"""Letters of choices, as they stand in a box or in a key."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.answers.letters import LETTERS, lone_letter, stated_letter


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("[b]", "B"),
        ("B.", "B"),
        ("$B$", "B"),
        ("(B) 42", "B"),
        ("B) red", "B"),
        ("B: red", "B"),
        ("B. red", "B"),
        ("Option B", "B"),
        ("The correct answer is: B", "B"),
    ],
)
def test_one_letter_is_stated_alone_or_with_the_text_of_its_choice(answer: str, letter: str) -> None:
    assert stated_letter(answer) == letter


@pytest.mark.parametrize(
    "style", [r"\text{%s}", r"\textbf{%s}", r"\mathbf{%s}", r"\mathrm{%s}", r"\boldsymbol{%s}", r"\textit{\text{%s}}"]
)
def test_a_letter_counts_in_every_style(style: str) -> None:
    assert [stated_letter(style % text) for text in ("C", "(C)", "(C) 42")] == ["C"] * 3


@pytest.mark.parametrize(
    "answer",
    ["", "K", "Bat", "B 42", "b) red", "B-2", "B+C", "B^2", "B = 2", "BC",  # no letter, or a formula
     "A, B", "A/B", "A or B", "(A), (B)", "(A) or (B)", "(B, C)", "A and B",  # several
     "(B) not A", "not B", "none of A to D", "A cell", "I think B", "I do not know"],  # denials and words
)  # fmt: skip
def test_several_letters_denials_formulas_and_words_state_none(answer: str) -> None:
    assert stated_letter(answer) == ""


def test_a_key_is_one_letter_to_j_in_brackets_or_a_style() -> None:
    assert [lone_letter(text) for text in ("C", "(C)", "C.", r"\textbf{(C)}", "$C$")] == ["C"] * 5
    assert [lone_letter(text) for text in ("K", "CD", "c", "(C) 42", "")] == [""] * 5
    assert "".join(map(lone_letter, LETTERS)) == "ABCDEFGHIJ"
