"""Countdown expressions, by an arithmetic parser of their own."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest

from mentor_pl.rewards.base import Grade
from mentor_pl.rewards.countdown import CountdownReward, evaluate_expression
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response


@pytest.mark.parametrize(
    ("text", "value", "used"),
    [
        ("1 + 2 * 3", Fraction(7), [1, 2, 3]),
        ("(1 + 2) * 3", Fraction(9), [1, 2, 3]),
        ("8 - 3 - 2", Fraction(3), [8, 3, 2]),
        ("8 / 4 / 2", Fraction(1), [8, 4, 2]),
        (r"6 \times \left(7 - 3\right) \div 8", Fraction(3), [6, 7, 3, 8]),
        (r"\frac{3 + 5}{4}", Fraction(2), [3, 5, 4]),
        ("-(2 - 5)", Fraction(3), [2, 5]),
        ("7 ÷ 2", Fraction(7, 2), [7, 2]),
        (r"8 \cdot {3} \ast 2", Fraction(48), [8, 3, 2]),
        (r"\dfrac{\frac{8}{4} + 2}{4}", Fraction(1), [8, 4, 2, 4]),
        ("(8)(3)", Fraction(24), [8, 3]),
        ("[(8 - 2) x 4]", Fraction(24), [8, 2, 4]),
    ],
)
def test_expressions_are_worked_out_exactly(text: str, value: Fraction, used: list[int]) -> None:
    assert evaluate_expression(text) == (value, Counter(used))


@pytest.mark.parametrize(
    "text",
    ["", "1 +", "(1", "1)", "2 3", "1 / 0", "2 ** 3", "2^3", "1.5", "x", "__import__('os')", "(" * 99 + "1" + ")" * 99,
     "9" * 13, "1+" * 400 + "1"],
)  # fmt: skip
def test_anything_else_is_no_expression(text: str) -> None:
    assert evaluate_expression(text) is None


@pytest.mark.parametrize(
    ("box", "outcome"),
    [
        (r"(7 - 3) \times (4 + 2)", 1.0),
        (r"(7 - 3) \times (4 + 2) = 24", 1.0),
        ("(7 - 3) * (4 + 2) = 25", 0.0),
        (r"24 = (7 - 3) \cdot (4 + 2).", 1.0),
        (r"\text{24} = 24", 0.0),
        ("24 = 4 + 2", 0.0),
        ("(7 - 3) (4 + 2) = 24 = 24", 0.0),
        ("7 - 3 (4 + 2)", 0.0),
        ("4 * 7 - 4", 0.0),  # uses 4 twice
        ("24", 0.0),  # not given
        ("7 + 3 + 4 + 2", 0.0),
    ],
)
def test_the_target_must_be_made_of_the_given_numbers(box: str, outcome: float) -> None:
    prompt = Prompt(0, "", "24", (), "<think>", {"numbers": [2, 3, 4, 7]})
    grade = CountdownReward().grade(prompt, Response(rf"</think>\boxed{{{box}}}"))
    assert grade == Grade(outcome, {"outcome": outcome})


def test_every_number_must_be_used_where_that_is_asked_for() -> None:
    prompt = Prompt(0, "", "5", (), "", {"numbers": [2, 3, 9]})
    response = Response(r"\boxed{2+3}")
    assert CountdownReward().grade(prompt, response).total == 1.0
    assert CountdownReward(all_numbers=True).grade(prompt, response).total == 0.0


@pytest.mark.parametrize("metadata", [{}, {"numbers": "123"}, {"numbers": [None]}])
def test_a_prompt_without_numbers_is_the_users_mistake(metadata: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="prompt 3 has numbers="):
        CountdownReward().grade(Prompt(3, "", "5", (), "", metadata), Response("x"))
