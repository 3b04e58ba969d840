"""Decisions are where the form leaves a choice that matters; labels end where a response leaves the form."""

from __future__ import annotations

import random

import pytest

from mentor_pl.runtime.errors import UsageError
from mentor_pl.testbed.maze.labels import labels
from mentor_pl.testbed.maze.models import ExpertDials, PolicyDials
from mentor_pl.testbed.maze.problems import split
from mentor_pl.testbed.maze.solutions import Style, solution

PROBLEM = "blocked c01 c12 c33 goal c20 start c00"
MARKS = {True: "d", False: ".", None: "-"}


def marked(response: str) -> str:
    return " ".join(MARKS[label] for label in labels(PROBLEM, response.split()))


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (  # moves; after an attempt: check or answer; after `check no`: again or answer; after `check yes` nothing
            r"<think> try L X check no try D c10 D c20 D c30 U c20 check yes </think> \boxed{ D D D U } <eos>",
            r".       .   d . d     .  d   d .   d .   d .   d .   d     .   .        .       . . . . . .",
        ),
        (r"<think> try L X </think> \boxed{ L } <eos>", ". . d . d . . . ."),
        # a redundant word in front of `try` is nothing; in front of a move the position is the move's
        (r"<think> so try D a2 well R X </think> \boxed{ D R }", ". . . d . d d . d . . . ."),
        # the fourth attempt is the last: what follows its verdict is forced
        (
            r"<think> try U X check no try U X check no try U X check no try U X check no </think> \boxed{ U }",
            ". . d . d . d d . d . d d . d . d d . d . . . . .",
        ),
        ("<think> try L c00 yes no", ". . d . d -"),  # `yes` follows no attempt, `no` nothing at all
        (r"<think> try L X </think> \boxed{ L L }", ". . d . d . . . -"),
        ("try L X", ". - -"),
        ("", ""),
    ],
)
def test_every_word_has_the_label_of_its_position(response: str, expected: str) -> None:
    assert marked(response) == " ".join(expected.split())


@pytest.mark.parametrize(
    "style",
    [PolicyDials(prior=0.5).style, ExpertDials(fillers=0.5, notation="chess").style, Style(checks=1.0, skill=0.0)],
)
def test_what_a_style_writes_keeps_to_the_form_to_its_end(style: Style) -> None:
    rng = random.Random(0)
    for maze in split("train")[:200]:
        words = [*solution(maze, style, rng).split(), "<eos>"]
        found = labels(maze.text(), words)
        assert None not in found
        assert sum(map(bool, found)) >= sum(word in "UDLR" for word in words) // 2


def test_a_problem_that_is_no_maze_is_named() -> None:
    with pytest.raises(UsageError, match="'2 \\+ 2' is not a maze"):
        labels("2 + 2", ["<think>"])
