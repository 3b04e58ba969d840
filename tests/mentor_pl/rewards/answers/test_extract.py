"""Finding the answer in a response."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.answers.extract import TAIL, boxed_or_tagged, boxes, final_answer, last_boxed


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{5}", "5"),
        (r"\boxed{\frac{1}{\sqrt{2}}} is it", r"\frac{1}{\sqrt{2}}"),
        (r"first \boxed{1}, but then \boxed{2}.", "2"),
        (r"\boxed{1}, $\boxed{2}$ and \boxed{3}", "1, 2, 3"),
        (r"$\boxed{\frac{3}{2}}$, or $\boxed{1.5}$", "1.5"),
        (r"\boxed{4} \boxed{4}", "4"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
        (r"\boxed{\boxed{7}}", "7"),
        (r"\boxed 8 units", "8"),
        (r"\fbox{9}", "9"),
        (r"\boxed{1} and then \boxed{2", "1"),
        (r"\boxed{5} is it, as asked for in \boxed{}", "5"),  # an empty one only says where an answer should stand
        (r"\boxed{}", ""),
        ("no box at all", None),
        (r"\boxed{open", None),
        (r"\boxed", None),
        ("", None),
    ],
)
def test_the_last_complete_box_is_the_answer(text: str, answer: str | None) -> None:
    assert last_boxed(text) == answer


def test_only_the_tail_is_read() -> None:
    assert last_boxed(r"\boxed{1}" + "x" * TAIL) is None
    assert last_boxed(r"\boxed{1}" + "x" * (TAIL - 9)) == "1"


def test_boxes_are_found_in_linear_time_whatever_the_braces() -> None:
    assert boxes(r"\boxed{" * 50_000) == []
    assert len(boxes(r"\boxed{1}" * 50_000)) == 50_000


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Tom has 3.\n#### 12", "12"),
        ("4 * 5 = 20\nA: 20", "20"),
        ("The answer is 7.", "7"),
        (r"The answer is $\frac{1}{2}$, since 2 is even", r"\frac{1}{2}"),
        (r"The answer is $x$ = 5", "5"),
        (r"**Final answer:** $3$ and $4$.", "3, 4"),
        ("Answer: (1, 2)", "(1, 2)"),
        ("The answer is x < 3.", "x < 3"),
        ("The answer is 7 of the 12 dollars.", "12"),
        ("Answer: blue", "blue"),
        (r"<answer>\frac12</answer>", r"\frac12"),
        (r"Thus $x = 4$. Done", "x = 4"),
        (r"The roots are $1$ and $2$.", "1, 2"),
        ("He pays $4 and then has $1,250 left.", "1,250"),
        (r"We box \boxed{3}. The final answer is $4$.", "4"),
        ("A: 4 + 8 = <<4+8=12>>12", "4 + 8 = 12"),
        ("The answer is 7, not 9.", "7"),
        ("The answer is 7 because 3 + 4 = 7 and 4 is even.", "7"),
        ("So he runs **45 miles** in 3 days.", "45"),
        ("**Step 2**: there are 14 left", "14"),
        ("So the ratio is 3:4.", "3:4"),
        ("They have 1.5 million in all.", "1.5 million"),
        (r"The answer is \text{Mia}.", "Mia"),
        ("x = 3 or x = 4", "x = 3 or x = 4"),  # all of a response of one line
        (r"\text{blue}", "blue"),
        ("Answer: x = 1 or x = 2", "x = 1 or x = 2"),
        ("We get $3 + 4 = 7$, which is 7 apples in 2 bags", "7"),  # where the formula arrives
        ("We get $3 + 4$, then 12", "12"),
        ("there is no answer to be found in this", None),
        ("blue\nor red", None),
    ],
)
def test_without_a_box_the_last_marked_answer_is_found(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"<answer>1</answer> no: \boxed{2}", "2"),
        (r"\boxed{1} no: <answer> 2 </answer>", "2"),
        ("<answer>1 2\n2 1</answer> done", "1 2\n2 1"),
        (r"<answer>\boxed{3}</answer>", "3"),
        (r"<answer>4</answer> <answer>open", "4"),
        (r"\boxed{\text{Ann is a knight}}", "Ann is a knight"),
        ("İ<ANSWER>5</ANSWER>", "5"),
        ("<answer>open", None),
        ("7", None),
    ],
)
def test_the_last_box_or_answer_tag_whichever_stands_later(text, answer):
    assert boxed_or_tagged(text) == answer
