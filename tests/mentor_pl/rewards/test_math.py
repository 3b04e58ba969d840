"""The math reward: blend, parts, containment."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mentor_pl.rewards.base import Grade, Grades
from mentor_pl.rewards.math import MathReward
from mentor_pl.types import Prompt, Response

DATA = Path(__file__).parents[3].parent / "shared" / "data"


@pytest.fixture(scope="module")
def reward() -> Iterator[MathReward]:
    built = MathReward()
    yield built
    built.close()


def prompt(answer: str, response_prefix: str = "<think>") -> Prompt:
    return Prompt(0, "", answer, (), response_prefix)


def boxed(*answers: str) -> list[Response]:
    return [Response(rf"\boxed{{{answer}}}") for answer in answers]


def test_the_answer_is_the_last_box_of_the_response(reward: MathReward) -> None:
    texts = [r"\boxed{4} no, \boxed{\frac{10}{2}} yes", r"\boxed{5} no, \boxed{4}", r"\boxed{5}" + " x" * 3000, "5"]
    grades = reward([prompt("5")] * 4, [Response(text) for text in texts])
    assert grades == Grades([1, 0, 0, 0], {"outcome": [1, 0, 0, 0], "timeout": [0, 0, 0, 0]})


def test_algebra_is_compared_in_the_workers(reward: MathReward) -> None:
    answers = [r"\sqrt{12}", r"3^{10^8} \bmod 7", "x^2-1"]
    references = [r"2\sqrt{3}", "7", "(x-1)(x+1)"]
    grades = reward([prompt(r) for r in references], boxed(*answers))
    assert grades.parts["outcome"] == [1, 0, 1]


def test_hostile_answers_score_0_and_leave_every_other_grade_as_it_was(reward: MathReward) -> None:
    hostile = [
        "9^{" * 12 + "9" + "}" * 12,
        r"10^{10^{10}}",
        "((((9!)!)!)!)!",
        r"\binom{10^9}{5 \cdot 10^8}",
        "{" * 2000 + "7" + "}" * 2000,
        r"\sqrt{" * 300 + "2" + "}" * 300,
        "1" * 1_000_000,
        "(x+y+z+1)^{1000000}",
        r"\begin{pmatrix}" + r"\\".join(["&".join("x" * 50)] * 50) + r"\end{pmatrix}",
        r"\sum_{k=1}^{10^{9}} \frac{1}{k^k}",
        "\x00\x1b[31m5",
        r"\def\a{\a\a}\a",
        "٣①\u202e" * 100,
        "\ud800",
        "__import__('os').getpid()",
    ]
    items = [pair for bad in hostile for pair in ((bad, "5", 0.0), (r"\frac{10}{2}", "5", 1.0), ("6", "5", 0.0))]
    grades = reward([prompt(r) for _, r, _ in items], boxed(*(a for a, _, _ in items)))
    assert grades.parts["outcome"] == [right for _, _, right in items]


def test_an_answer_over_its_deadline_is_counted_as_such() -> None:
    strict = MathReward(workers=1, timeout=1e-4)
    slow = "+".join(rf"\sin^2 ({k}x)+\cos^2 ({k}x)" for k in range(1, 10)) + "+x"
    grades = strict([prompt("x+9"), prompt("5")], boxed(slow, "5"))
    assert (grades.parts["timeout"], grades.parts["outcome"]) == ([1, 0], [0, 1])
    assert strict.timeouts == 1
    strict.close()


def test_grades_do_not_depend_on_the_number_of_workers(reward: MathReward) -> None:
    pairs = [(rf"{n}\sqrt{{2}}", rf"\sqrt{{{2 * n * n + (n % 3 == 0)}}}") for n in range(2, 20)]
    single = MathReward(workers=1)
    batch = [prompt(r) for _, r in pairs], boxed(*(a for a, _ in pairs))
    assert reward(*batch) == single(*batch)
    assert reward(*batch).parts["outcome"] == [float(n % 3 != 0) for n in range(2, 20)]
    single.close()


def test_single_responses_can_be_handed_over_as_they_end(reward: MathReward) -> None:
    pending = [reward.submit(prompt("5"), response) for response in boxed("5 + 0", "6 + 0")]
    assert [future.result().total for future in pending] == [1, 0]
    assert reward.grade(prompt("5"), boxed("5")[0]) == Grade(1, {"outcome": 1, "timeout": 0})  # equal strings: at once


def test_a_copy_grades_alike_and_building_one_starts_nothing(reward: MathReward) -> None:
    other = copy.deepcopy(reward)
    assert other.pool._dispatcher is None
    assert other([prompt("5")], boxed("10/2")).total == [1]
    other.close()


def test_a_prompt_may_bring_its_own_tolerance(reward: MathReward) -> None:
    loose = Prompt(0, "", "100", (), "", {"tolerance": 0.02})
    assert reward([loose, prompt("100")], boxed("101", "101")).parts["outcome"] == [1, 0]


def test_every_math500_reference_solution_earns_the_outcome(reward: MathReward) -> None:
    path = DATA / "benchmarks" / "math500.jsonl"
    if not path.exists():
        pytest.skip(f"real data not found: {path}")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    grades = reward([prompt(row["answer"]) for row in rows], [Response(row["solution"]) for row in rows])
    assert [row["id"] for row, one in zip(rows, grades.parts["outcome"], strict=True) if not one] == []
