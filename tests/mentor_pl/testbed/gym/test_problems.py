"""What a question asks is read from its text, and decides on which side it is."""

from __future__ import annotations

import pytest

from mentor_pl.testbed.gym.models import WORDS
from mentor_pl.testbed.gym.problems import PHRASES, SETTINGS, Problem, TaskName, parse, rows
from mentor_pl.testbed.tokenizer import SPECIAL, build_tokenizer


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        (
            "State the final answer to the following arithmetic problem: 7 + 8 - 3 - 0 + 4 =",
            Problem((7, 8, 3, 0, 4), (1, 1, -1, -1, 1), 16),
        ),
        (
            "Using all the numbers 8, 1, 9, create an expression that equals 16.\nYou can only use each number once.",
            Problem((8, 1, 9), None, 16),
        ),
        (
            "Find a way to make 11 using all of these numbers: 1, 5, 8, 1.\nEach number can only be used once.",
            Problem((1, 5, 8, 1), None, 11),
        ),
        (
            "Calculate 3 using all of these numbers: 2, 1, 3, 7.\nEach number may be used at most once.",
            Problem((2, 1, 3, 7), None, 3),
        ),
    ],
)
def test_a_question_is_read_in_each_wording_and_is_few_tokens(question: str, asked: Problem) -> None:
    assert parse(question) == asked
    instructions = PHRASES["countdown"][2].partition("once.")[2]
    whole = question if asked.signs else question + instructions + "\n"
    tokenizer = build_tokenizer(WORDS, PHRASES["chain_sum" if asked.signs else "countdown"])
    words = tokenizer.tokenize(whole)
    assert not {*SPECIAL} & {*words}
    assert len(words) == (11 if asked.signs else 2 * len(asked.numbers) + 3)


def test_sides_do_not_depend_on_the_wording_and_one_problem_in_ten_is_held_out() -> None:
    problems = [Problem((a, b, c), None, 7) for a in range(16) for b in range(16) for c in range(16)]
    assert sum(problem.side == "heldout" for problem in problems) / len(problems) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("task", SETTINGS)
def test_the_librarys_rows_are_of_their_side_and_none_comes_twice(task: TaskName) -> None:
    pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed: pip install mentor-pl[environments]")
    tokenizer = build_tokenizer(WORDS, PHRASES[task])
    for side, count in (("train", 100), ("heldout", 10)):
        found = [row["problem"] for row, _ in zip(rows(task, side, 5), range(count), strict=False)]
        asked = [parse(question) for question in found]
        assert {one.side for one in asked} == {side}
        assert len({*asked}) == count
        assert not any("<unk>" in tokenizer.tokenize(question) for question in found)
