"""Equality by algebra, and the screen before it."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.answers.algebra import algebra_equal


def equal(ours: str, theirs: str, tolerance: float = 0.0) -> bool:
    return algebra_equal(ours, theirs, "optional", "reference", tolerance)


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        (r"\sqrt{12}", r"2\sqrt{3}", True),
        ("(x-1)(x+1)", "x^2-1", True),
        (r"2^{2008}+2", r"2^{2008}-2", False),  # 600 digits, and the last one decides
        (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}", True),
        (r"\sqrt{2}", "1.41", True),  # a decimal reference of three digits
        ("1.41", r"\sqrt{2}", False),  # an exact one
        (r"\sqrt{2}", "1.42", False),
        (r"0.5x", r"\frac{x}{2}", True),
        ("f'", "f", False),
        ("ABC", "ACB", False),  # a name, not a product
    ],
)
def test_the_same_mathematics(ours: str, theirs: str, same: bool) -> None:
    assert equal(ours, theirs) is same


def test_a_tolerance_is_relative() -> None:
    assert equal(r"\sqrt{101}", r"\sqrt{100}", 0.01)
    assert not equal(r"\sqrt{101}", r"\sqrt{100}")


@pytest.mark.parametrize(
    "text",
    [r"9^{9^{9^9}}", "((9!)!)!", r"\binom{10000}{5000}", r"\sum_{k=1}^{9} k", r"3^{10^8} \bmod 7", "2 3", "7" * 500,
     "(x+1)^{1000}", "(" * 20 + "x" + ")" * 20, "the sum", r"\def\a{\a\a}"],
)  # fmt: skip
def test_what_could_run_without_bound_or_be_read_in_two_ways_is_not_worked_out(text: str) -> None:
    assert not equal(text, "7")
