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
        ("The answer is (A). Wait.\nThe answer is (B).", "B"),
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


def test_the_last_statement_counts_unless_the_first_is_asked_for() -> None:
    text = "The answer is (A).\n\nQ: next\nThe answer is (B)."
    assert [chosen_letter(text), chosen_letter(text, settled="first")] == ["B", "A"]
    assert chosen_letter(r"The answer is A. \boxed{C} The answer is B.", settled="first") == "C"
    prompts, responses = [Prompt(0, "", "B", ())], [Response(text)]
    assert [ChoiceReward()(prompts, responses).total, ChoiceReward("first")(prompts, responses).total] == [[1.0], [0.0]]


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("I lean to A.</think>The answer is B.", "B"),
        ("<think>The answer is A. Or (C)?</think>\nD", "D"),
        (r"\boxed{C}</think> I do not know", None),
        ("The answer is A</think>", None),
        ("one</think>The answer is A</think>the answer is C", "C"),
    ],
)
def test_what_stands_before_the_end_of_thinking_does_not_count(text: str, letter: str | None) -> None:
    assert chosen_letter(text) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is I don't know", None),
        ("The answer is I think", None),
        ("The answer is a cell", None),
        ("A cell is what I see", None),
        (r"\boxed{I don't know}", None),
        (r"\boxed{A cell}", None),
        ("The answer is I.", "I"),
        ("The answer is (I)", "I"),
        ("The answer is A because it is hot", "A"),
        (r"\boxed{A. cell}", "A"),
    ],
)
def test_i_and_a_are_words_unless_they_stand_as_letters(text: str, letter: str | None) -> None:
    assert chosen_letter(text) == letter


@pytest.mark.parametrize(
    "text",
    ["I am not sure.", "I cannot answer that.", r"\boxed{?}", r"\boxed{}", r"\boxed{None of the above}",  # refusals
     "The answer is not B", "It is not (B)", "The answer isn't B.", "anything but (C)", "neither A nor B.",
     "It can't be D.", r"\boxed{not A}", "rather than (B)", "wrong: never (C)",  # denials
     "The answer is A or B", "The answer is A and B.", "The answer is (A), (B)", "Answer: A/C", r"\boxed{A, B}",
     r"\boxed{A \text{ or } B}", r"\boxed{AB}", "Options: A. x B. y C. z D. w"],  # several
)  # fmt: skip
def test_refusals_denials_and_several_letters_choose_none(text: str) -> None:
    assert chosen_letter(text) is None
    assert chosen_letter(text, settled="first") is None


def test_a_denied_letter_leaves_the_others() -> None:
    assert chosen_letter("Not (B), so it is (D)") == "D"
    assert chosen_letter("not A, not B: option D") == "D"
    assert chosen_letter("The answer is A or B. The answer is B.") == "B"


@pytest.mark.parametrize(
    "style",
    [r"\text{%s}", r"\textbf{%s}", r"\mathbf{%s}", r"\mathrm{%s}", "**%s**", "`%s`", "__%s__", "_%s_", '"%s"', "$%s$",
     r"\(%s\)", r"$\mathrm{%s}$", r"$\text{%s}$"],
)  # fmt: skip
def test_a_letter_counts_in_every_style(style: str) -> None:
    assert [chosen_letter("The answer is " + style % letter) for letter in ("C", "(C)")] == ["C", "C"]
    if "\\" in style or "$" in style:
        assert chosen_letter(r"so \boxed{" + style % "C" + "}") == "C"
    assert chosen_letter("The answer is \uff23") == "C"  # of full width


@pytest.mark.parametrize("text", ["It isn't option C", "(A) (B) (C) (D)", "A. red\nB. blue\nC. green"])
def test_options_that_are_listed_or_denied_are_not_chosen_by_a_weaker_pattern(text: str) -> None:
    assert chosen_letter(text) is None


def test_a_letter_in_bold_stands_in_a_box() -> None:
    assert chosen_letter(r"so \boxed{**B**}") == "B"


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
