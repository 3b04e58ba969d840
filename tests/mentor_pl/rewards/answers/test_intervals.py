"""Inequalities as intervals."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.answers.intervals import interval_of, other_variable


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        (r"2 \leq x < 7", "[2, 7)"),
        (r"7 > x \geq 2", "[2, 7)"),
        ("x > 3", r"(3, \infty)"),
        ("3 > x", r"(-\infty, 3)"),
        (r"x \leq -1", r"(-\infty, -1]"),
        (r"|x| \leq 3", "[-(3), 3]"),
        (r"x < 1 \text{ or } x > 4", r"(-\infty, 1) \cup (4, \infty)"),
        (r"x \neq 2", r"(-\infty, 2) \cup (2, \infty)"),
        (r"\mathbb{R} \setminus \{0\}", r"(-\infty, 0) \cup (0, \infty)"),
        (r"\mathbb{R}", r"(-\infty, \infty)"),
        ("all real numbers", r"(-\infty, \infty)"),
        (r"\{x | x > 3\}", r"(3, \infty)"),
        ("1 < x > 2", "1 < x > 2"),  # no chain
        ("x + 1", "x + 1"),
    ],
)
def test_an_inequality_in_one_variable_is_an_interval_and_other_text_stays(text: str, interval: str) -> None:
    assert interval_of(text) == interval


def test_inequalities_in_different_variables_are_told_apart() -> None:
    assert other_variable("x > 3", "y > 3")
    assert other_variable("1 < x < 2", "y < 2")
    assert not other_variable("x > 3", "3 < x")
    assert not other_variable("x > 3", r"(3, \infty)")
