"""Lines of a problem file, for the star of tests/mentor_pl/rewards/test_path_star.py."""

from __future__ import annotations

from mentor_pl.rewards.path_star import parse_problem
from mentor_pl.testbed.path_star.rows import problem_row, trace

PROBLEM = "edges n03 n11 | n07 n20 | n07 n03 | n20 n05 | start n07 goal n05"


def test_a_row_says_problem_answer_and_arms() -> None:
    assert problem_row(parse_problem(PROBLEM)) == {
        "problem": PROBLEM,
        "answer": "n20 n05",
        "start": "n07",
        "goal": "n05",
        "arms": ["n20 n05", "n03 n11"],
    }


def test_a_trace_is_the_right_answer_and_has_one_decision() -> None:
    assert trace(parse_problem(PROBLEM)) == {
        "demonstrations": [r"<think> n20 n05 </think> \boxed{ n20 n05 }"],
        "decisions": [1],
    }
