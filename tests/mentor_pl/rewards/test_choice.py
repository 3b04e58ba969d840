"""Letters of multiple choice."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.choice import ChoiceReward, chosen_letter
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is (C).", "C"),
        ("the answer is: **D**", "D"),
        ("Answer: J", "J"),
        (r"so \boxed{B}", "B"),
        (r"so \boxed{\text{(E)}}", "E"),
        (r"\boxed{F. mitosis}", "F"),
        (r"The answer is (A). No: \boxed{B}", "B"),
        ("The answer is (A).\n\nQ: next\nThe answer is (B).", "A"),
        ("C. because it is hot", "C"),
        ("I think that option G holds", "G"),
        ("It is not A because of B, so it must be (D)", "D"),
        ("Therefore I would pick H", "H"),
        ("**Answer:** B", "B"),
        ("**Answer: (B)**", "B"),
        (r"The answer is \(\textbf{(C)}\)", "C"),
        ("The correct answer is:\n\n**C**", "C"),
        ("The correct option is (B).", "B"),
        ("the answer is ‘D’", "D"),
        (r"\boxed{\text{Option C}}", "C"),
        (r"\boxed{c}", "C"),
        ("the answer is (c)", "C"),
        ("answer: b.", "B"),
        ("The answer is a matter of taste", None),
        ("The answer is I think B", "B"),
        ("Answer: K", None),
        ("I do not know.", None),
        ("A cell is a unit of life", None),
        ("", None),
        (r"\boxed{12}", None),
        (r"\boxed{A + B}", None),
    ],
)
def test_the_letter_a_response_settles_on(text: str, letter: str | None) -> None:
    assert chosen_letter(text) == letter


def test_the_last_statement_counts_where_that_is_asked_for() -> None:
    assert chosen_letter("The answer is A. Wait. The answer is B.", settled="last") == "B"


def test_an_answer_that_repeats_one_choice_is_that_choice() -> None:
    assert chosen_letter(r"\boxed{\frac{1}{2}}", ["0.25", r"\frac12"]) == "B"
    assert chosen_letter(r"\boxed{7}", ["7", "7"]) is None
    assert chosen_letter("Plan A fails (B).\nThe answer is mitosis.", ["meiosis", "Mitosis"]) == "B"
    assert chosen_letter("By (A) and C.\nThe answer is mitosis.", ["meiosis", "Mitosis"]) == "B"


def test_all_letters_to_j_count() -> None:
    assert [chosen_letter(f"The answer is ({letter})") for letter in "ABCDEFGHIJ"] == list("ABCDEFGHIJ")


@pytest.mark.parametrize("run", [" ", "\n", "(", "*", "answer is ", "option ", r"\boxed{", "A ", r"\text{"])
def test_long_runs_are_scanned_in_time(run: str) -> None:
    for text in (run * 20_000, rf"\boxed{{option {run * 400}", "answer is" + run * 2000 + "x"):
        chosen_letter(text)


def test_grades_compare_with_the_key() -> None:
    prompts = [Prompt(0, "", "C", ()), Prompt(1, "", "(C)", ()), Prompt(2, "", "B", (), "", {"choices": ["x", "y z"]})]
    responses = [Response(text) for text in ("The answer is C", "The answer is D", r"\boxed{y z}")]
    assert ChoiceReward()(prompts, responses).total == [1.0, 0.0, 1.0]


def test_a_key_that_is_no_letter_is_the_users_mistake() -> None:
    with pytest.raises(UsageError, match="answer='K' of prompt 4"):
        ChoiceReward()([Prompt(4, "", "K", ())], [Response("A")])
