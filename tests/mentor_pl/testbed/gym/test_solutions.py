"""What a style writes: running totals that hold, answers that follow from them, and each dial where it belongs."""

from __future__ import annotations

import random
import re

import pytest

from mentor_pl.testbed.gym.problems import Problem
from mentor_pl.testbed.gym.solutions import MAX_ATTEMPTS, Style, boxed_total, right_solution, signed, solution

SUM = Problem((7, 8, 3, 0, 4), (1, 1, -1, -1, 1), 16)
SEARCH = Problem((8, 1, 9, 6), None, 12)  # 8 + 1 + 9 - 6, and no other signs
STEP = re.compile(r"(?<!\S)(?=(-?\d+) ([+-]) (\d+) = (-?\d+))")


def written(problem: Problem, style: Style, count: int = 300) -> list[str]:
    rng = random.Random(0)
    return [solution(problem, style, rng) for _ in range(count)]


def share(texts: list[str], needle: str) -> float:
    return sum(needle in text for text in texts) / len(texts)


def steps(texts: list[str]) -> list[bool]:
    """Of each step of a running total, whether it is right."""
    found = [step.groups() for text in texts for step in STEP.finditer(text)]
    return [int(before) + int(sign + number) == int(after) for before, sign, number, after in found]


def test_a_sum_that_is_worked_out_is_right_and_the_answer_is_its_last_total() -> None:
    (text,) = set(written(SUM, Style(1.0, 0.0)))
    assert text == r"<think> 7 + 8 = 15 - 3 = 12 - 0 = 12 + 4 = 16 </think> \boxed{ 16 }"


def test_a_guess_comes_from_any_signs_and_is_right_as_often_as_skill_says() -> None:
    texts = written(SUM, Style(0.0, 0.0), 2000)
    assert share(texts, "=") == 0
    assert share(texts, r"\boxed{ 16 }") == pytest.approx(1 / 16, abs=0.02)  # the sign of 0 is free: 2 of 32
    assert share(written(SUM, Style(0.0, 0.5), 2000), r"\boxed{ 16 }") == pytest.approx(0.5 + 0.5 / 16, abs=0.04)


def test_a_search_boxes_its_last_attempt_and_tries_again_until_it_is_right() -> None:
    for text in written(SEARCH, Style(1.0, 0.3)):
        *wrong, last = re.findall(r"try (.*?) check (yes|no)", text)
        assert {verdict for _, verdict in wrong} <= {"no"}
        assert len(wrong) < MAX_ATTEMPTS
        right = boxed_total(text) == SEARCH.target
        assert last[1] == ("yes" if right else "no")
        assert right or len(wrong) == MAX_ATTEMPTS - 1
        assert last[0].endswith(f"= {boxed_total(text)}")
    assert all(steps(written(SEARCH, Style(1.0, 0.3))))


def test_skill_finds_the_signs_and_without_it_one_in_sixteen_attempts_is_right() -> None:
    assert set(written(SEARCH, Style(0.0, 1.0))) == {
        r"<think> try 8 + 1 = 9 + 9 = 18 - 6 = 12 </think> \boxed{ 8 + 1 + 9 - 6 }"
    }
    assert share(written(SEARCH, Style(0.0, 0.0), 2000), r"\boxed{ 8 + 1 + 9 - 6 }") == pytest.approx(1 / 16, abs=0.02)


@pytest.mark.parametrize("problem", [SUM, SEARCH])
def test_strategy_and_execution_are_probabilities(problem: Problem) -> None:
    worked = "=" if problem.signs else "check"
    assert share(written(problem, Style(0.25, 0.0), 2000), worked) == pytest.approx(0.25, abs=0.03)
    found = steps(written(problem, Style(1.0, 0.0, 0.8), 500))
    assert sum(found) / len(found) == pytest.approx(0.8, abs=0.03)
    assert all(steps(written(problem, Style(1.0, 0.0), 100)))


@pytest.mark.parametrize("problem", [SUM, SEARCH])
def test_a_trace_is_right_whatever_its_style(problem: Problem) -> None:
    rng = random.Random(0)
    assert {boxed_total(right_solution(problem, Style(0.5, 0.1, 0.8), rng)) for _ in range(50)} == {problem.target}


def test_the_first_sign_stands_within_its_number() -> None:
    assert " ".join(signed((8, 1, 9), (-1, 1, -1))) == "-8 + 1 - 9"
