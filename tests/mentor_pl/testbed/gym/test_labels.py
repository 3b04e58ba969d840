"""Decisions are where the form leaves a choice that matters; labels end where a response leaves the form."""

from __future__ import annotations

import random

import pytest

from mentor_pl.runtime.errors import UsageError
from mentor_pl.testbed.gym.labels import labels
from mentor_pl.testbed.gym.problems import parse
from mentor_pl.testbed.gym.solutions import Style, solution

SUM = "State the final answer to the following arithmetic problem: 7 + 8 - 3 ="
SEARCH = "Find a way to make 2 using all of these numbers: 8, 1, 9.\nEach number can only be used once."
MARKS = {True: "d", False: ".", None: "-"}


@pytest.mark.parametrize(
    ("problem", "response", "expected"),
    [
        (SUM, r"<think> 7 + 8 = 15 - 3 = 12 </think> \boxed{ 12 } <eos>", ". d . . . . d . . . . . . . ."),
        (SUM, r"<think> </think> \boxed{ 4 } <eos>", ". d . d . ."),
        (SUM, r"<think> 7 + 8 = 15 </think> \boxed{ 15 } <eos>", ". d . . . . d . d . ."),  # an answer too early
        (SUM, r"<think> 7 </think> \boxed{ 7 }", ". d . - - -"),
        (SUM, r"<think> 7 + 8 = 15 - 3 = 12 + 1", ". d . . . . d . . . . -"),  # there is no fourth term
        (
            SEARCH,
            r"<think> try 8 - 1 = 7 + 9 = 16 check no try -8 + 1 = -7 + 9 = 2 check yes </think> \boxed{ -8 + 1 + 9 }",
            ". . d d . . . d . . . d . d d d . . . d . . . d . . . . . . . . .",
        ),
        (SEARCH, r"<think> try 8 - 1 = 7 + 9 = 16 </think> \boxed{ 8 - 1", ". . d d . . . d . . . d . . . ."),
        (SEARCH, "<think> try 8 - 1 = 7 check", ". . d d . . . d"),  # in the place of a sign
        (SEARCH, "<think> try 8 - 1 = 7 check no", ". . d d . . . d -"),
        (SEARCH, "try 8", ". -"),
        (SEARCH, "", ""),
    ],
)  # fmt: skip
def test_every_word_has_the_label_of_its_position(problem: str, response: str, expected: str) -> None:
    assert " ".join(MARKS[label] for label in labels(problem, response.split())) == expected


@pytest.mark.parametrize("problem", [SUM, SEARCH])
@pytest.mark.parametrize("style", [Style(0.5, 0.2, 0.7), Style(1.0, 0.9)])
def test_what_a_style_writes_keeps_to_the_form_to_its_end(problem: str, style: Style) -> None:
    rng = random.Random(0)
    for _ in range(200):
        found = labels(problem, [*solution(parse(problem), style, rng).split(), "<eos>"])
        assert None not in found
        assert any(found)


def test_another_problem_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'What is 1\?' is no problem of this testbed: give one of chain_sum and"):
        labels("What is 1?", [])
