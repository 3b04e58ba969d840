"""The paper's format."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.base import Grade
from mentor_pl.rewards.format import FormatReward
from mentor_pl.types import Prompt, Response


@pytest.mark.parametrize(
    ("response_prefix", "response", "grade"),
    [
        ("", r"<think>a</think> so \boxed{1} done", 1.0),
        ("<think>\n", r"a</think> so \boxed{1}", 1.0),
        ("", r"a</think> so \boxed{1}", 0.0),
        ("<think>", r"<think> a</think> \boxed{1}", 0.0),
        ("", r" <think>a</think>\boxed{\frac{1}{2}}", 1.0),
        ("", r"Well, <think>a</think>\boxed{1}", 0.0),
        ("", r"<think>\boxed{1}</think> so it is 1", 0.0),
        ("", r"<think>a \boxed{1}", 0.0),
        ("", r"<think>a</think> \boxed{1", 0.0),
        ("", r"</think><think> \boxed{1}", 0.0),
        ("", r"<think>a</think> no, <think>b</think>\boxed{1}", 0.0),
        ("", r"<think>a</think>\boxed{1</think>\boxed{1}", 0.0),
        ("", r"<think>a</think>\boxed{}", 0.0),
        ("", r"<think>a</think>\boxed{1} \boxed{}", 1.0),
        ("", r"<think> </think>\boxed{1}", 1.0),
        ("", "", 0.0),
    ],
)
def test_the_whole_response_with_what_the_template_wrote_must_have_the_pattern(
    response_prefix: str, response: str, grade: float
) -> None:
    assert FormatReward().grade(Prompt(0, "", "1", (), response_prefix), Response(response)) == Grade(
        grade, {"format": grade}
    )


def test_a_box_beyond_the_graded_tail_still_has_the_format() -> None:
    response = r"<think>a</think>\boxed{1}" + "x" * 10_000
    assert FormatReward().grade(Prompt(0, "", "1", ()), Response(response)).total == 1.0


@pytest.mark.parametrize(
    ("text", "lenient", "answer"),
    [
        (r"Well, <think>a</think>\boxed{1}", 1.0, 1.0),
        (r"<think>a</think> no, <think>b</think>\boxed{1}", 1.0, 1.0),
        (r"<think>\boxed{1}</think> so it is 1", 0.0, 0.0),
        (r"a</think>\boxed{1}", 0.0, 1.0),
        (r"It is \boxed{1}.", 0.0, 1.0),
        (r"<think>a</think>\boxed{}", 0.0, 0.0),
        (r"<think>a</think>\boxed{1", 0.0, 0.0),
    ],
)
def test_the_other_forms_ask_for_less(text: str, lenient: float, answer: float) -> None:
    prompt, response = Prompt(0, "", "1", ()), Response(text)
    assert [FormatReward(form).grade(prompt, response).total for form in ("lenient", "answer")] == [lenient, answer]
