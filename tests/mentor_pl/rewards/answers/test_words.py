"""Numbers in words and times of day."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.answers.words import in_digits, same_time


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("twelve", "12"),
        ("Twenty-five", "25"),
        ("two hundred", "200"),
        ("thirty thousand", "30000"),
        ("1.5 million", "1500000"),
        ("3 dozen", "36"),
        ("1,200 thousand", "1200000"),
        ("twenty twelve", "twenty twelve"),  # no number is said so
        ("five ten", "five ten"),
        ("zero", "0"),
        ("twelve apples", "twelve apples"),
        ("12", "12"),
    ],
)
def test_numbers_in_words_become_digits_and_other_text_stays(text: str, digits: str) -> None:
    assert in_digits(text) == digits


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("3:30", "3:30 p.m.", True),
        ("3:30 PM", r"3:30\text{ p.m.}", True),
        ("5 pm", "5:00 p.m.", True),
        ("3:30 a.m.", "3:30 p.m.", False),
        ("3:31", "3:30 p.m.", False),
        ("3:30", "3:30", None),  # nobody says which half of the day: no time of day
        ("12", "x", None),
    ],
)
def test_times_of_day(ours: str, theirs: str, same: bool | None) -> None:
    assert same_time(ours, theirs) is same


def test_where_both_must_say_the_half_of_the_day_one_does_not_suffice() -> None:
    assert same_time("3:30", "3:30 p.m.", both=True) is False
