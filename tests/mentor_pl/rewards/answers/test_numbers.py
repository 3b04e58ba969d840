"""Plain numbers, exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mentor_pl.rewards.answers.numbers import Number, read


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("-3", Number(Fraction(-3))),
        ("1,234,567", Number(Fraction(1234567))),
        ("0.50", Number(Fraction(1, 2), 2)),
        (".5", Number(Fraction(1, 2), 1)),
        ("12.5\\%", Number(Fraction(25, 2), 1, True)),
        (r"\frac{3}{-4}", Number(Fraction(-3, 4))),
        (r"2\frac{1}{2}", Number(Fraction(5, 2))),
        (r"-1 \frac{1}{2}", Number(Fraction(-3, 2))),
        ("3 / 8", Number(Fraction(3, 8))),
        (r"3 \times 10^{4}", Number(Fraction(30000))),
        (r"3.2 \times 10^{-4}", Number(Fraction(32, 100000), 5)),
        (r"10^{-2}", Number(Fraction(1, 100))),
    ],
)
def test_plain_numbers_are_read_exactly(text: str, number: Number) -> None:
    assert read(text) == number


@pytest.mark.parametrize(
    "text", ["", "x", "1,23", "01,234", "1/0", "2 3", "1.2.3", "1e", "1e9999", "9" * 500, r"\frac{1}{x}"]
)
def test_other_text_is_no_number(text: str) -> None:
    assert read(text) is None
