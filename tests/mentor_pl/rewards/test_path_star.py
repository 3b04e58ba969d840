r"""Path-star's reward, on one star small enough to draw; the edges go out from the centre n07:

n07 – n20 – n05      the goal n05 ends the first arm, so `n20 n05` is the one right answer
n07 – n03 – n11
"""

from __future__ import annotations

import random

import pytest

from mentor_pl.rewards.base import Grade
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.rewards.path_star import PathStar, PathStarReward, boxed_nodes, parse_problem
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

PROBLEM = "edges n03 n11 | n07 n20 | n07 n03 | n20 n05 | start n07 goal n05"
STAR = PathStar((("n03", "n11"), ("n07", "n20"), ("n07", "n03"), ("n20", "n05")), start="n07", goal="n05")


def prompt(problem: str = PROBLEM, response_prefix: str = "") -> Prompt:
    return Prompt(index=0, problem=problem, answer="n20 n05", token_ids=(), response_prefix=response_prefix)


def graded(response: str, response_prefix: str = "") -> Grade:
    return PathStarReward().grade(prompt(response_prefix=response_prefix), Response(response))


def test_a_problem_reads_back_as_it_was_written() -> None:
    assert parse_problem(PROBLEM) == STAR
    assert STAR.text() == PROBLEM
    assert STAR.arms == {"n20": ["n20", "n05"], "n03": ["n03", "n11"]}
    assert STAR.path() == ["n20", "n05"]


def test_arms_may_be_of_any_number_and_length() -> None:
    star = parse_problem("edges n01 n02 | n02 n03 | n01 n04 | start n01 goal n04")
    assert star.arms == {"n02": ["n02", "n03"], "n04": ["n04"]}
    assert star.path() == ["n04"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is 2 + 2?",
        "edges start n07 goal n05",
        PROBLEM.replace("edges ", ""),
        PROBLEM.replace("n11 |", "n11"),
        PROBLEM.replace("goal n05", ""),
        PROBLEM.replace("goal n05", "goal five"),
        "drill " + PROBLEM,
        PROBLEM.replace("goal n05", "goal n20"),  # within an arm
        PROBLEM.replace("goal n05", "goal n07"),
        PROBLEM.replace("goal n05", "goal n99"),
        PROBLEM.replace("n20 n05", "n05 n20"),  # towards the centre
        PROBLEM.replace("n03 n11", "n20 n11"),  # an arm that forks
        PROBLEM.replace("n03 n11", "n03 n05"),  # arms that meet
        PROBLEM.replace("n03 n11", "n03 n07"),  # back into the centre
        PROBLEM.replace("n03 n11", "n07 n20"),  # an edge twice
        PROBLEM.replace("n03 n11", "n11 n12"),  # an edge that hangs on nothing
        PROBLEM.replace("n03 n11", "n11 n11"),
        PROBLEM.replace("n03 n11", "n03 n03"),  # a circle
        PROBLEM.replace("n03 n11 |", "n11 n12 | n12 n11 |"),  # a circle that hangs on nothing
    ],
)
def test_a_problem_that_is_no_path_star_is_named_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as error:
        PathStarReward().grade(prompt(text), Response(r"\boxed{ n20 n05 }"))
    assert repr(text[:80]) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("response", "outcome", "arm", "faithful"),
    [
        (r"<think> n20 n05 </think> \boxed{ n20 n05 }", 1, 1, 1),
        (r"<think> n03 n11 </think> \boxed{ n03 n11 }", 0, 0, 1),  # another arm, walked rightly
        (r"<think> n20 </think> \boxed{ n20 }", 0, 1, 1),  # too short
        (r"<think> n20 n05 </think> \boxed{ n20 n05 n05 }", 0, 1, 0),
        (r"<think> n20 n05 </think> \boxed{ n20 n11 }", 0, 1, 0),  # n11 is not behind n20
        (r"<think> n20 n05 </think> \boxed{ n03 n05 }", 0, 0, 0),
        (r"<think> n20 n05 </think> \boxed{ n05 }", 0, 0, 0),  # the goal is no neighbour of the centre
        (r"<think> n07 n20 n05 </think> \boxed{ n07 n20 n05 }", 0, 0, 0),  # the centre is no part of the answer
        (r"<think> n20 n05 </think> \boxed{ }", 0, 0, 0),
        (r"<think> n20 n11 </think> \boxed{ n20 n05 }", 1, 1, 0),  # the thinking lies, the box does not
        (r"<think> </think> \boxed{ n20 n05 }", 1, 1, 0),  # no walk was told
        (r"<think> to n20 then n05 </think> \boxed{ n20 n05 }", 1, 1, 1),  # other words are not judged
        (r"\boxed{ n20 n05 }", 1, 1, 0),
        (r"<think> n20 n05 </think> \boxed{ n03 } \boxed{ n20 n05 }", 1, 1, 1),  # the last box counts
        (r"<think> n20 n05 </think> \boxed{ n20 n05 } \boxed{ n03 }", 0, 0, 1),
        (r"<think> n20 n05 </think> \boxed{ n20 n05", 0, 0, 0),  # never closed
        ("", 0, 0, 0),
    ],
)
def test_parts_of_a_response(response: str, outcome: int, arm: int, faithful: int) -> None:
    grade = graded(response)
    assert grade.total == outcome
    assert grade.parts == {"outcome": outcome, "arm": arm, "faithful": faithful}


def test_the_papers_reward_adds_its_format() -> None:
    reward = PaperReward(PathStarReward())
    responses = [r"<think> </think> \boxed{ n20 n05 }", r"<think> </think> \boxed{ n03 n11 }", "n20 n05"]
    grades = reward([prompt()] * 3, [Response(response) for response in responses])
    assert grades.total == pytest.approx([1.0, 0.1, 0.0])


def test_text_that_the_prompt_has_written_counts_as_part_of_the_response() -> None:
    assert graded(r" n05 </think> \boxed{ n20 n05 }", "<think> n20").parts["faithful"] == 1


def test_the_example_earns_the_outcome() -> None:
    assert graded(PathStarReward().example(prompt()) or "").total == 1


def test_no_response_text_raises_and_totals_stay_in_range() -> None:
    rng = random.Random(0)
    words = ["n20", "n05", "n07", "n99", "<think>", "</think>", r"\boxed{", "}", "{", "\n", "é", "|", "<eos>", "\\"]
    responses = [
        "".join(rng.choice(["", " "]) + rng.choice(words) for _ in range(rng.randrange(40))) for _ in range(2000)
    ]
    responses += [r"\boxed{" * 20_000, "<think>" * 20_000, "{" * 100_000, r"<think></think>" + r"\boxed{ n20" * 20_000]
    grades = PathStarReward()([prompt()] * len(responses), [Response(response) for response in responses])
    assert len(grades.total) == len(responses)
    assert boxed_nodes(r"\boxed{ n20 \boxed{ n03 n11 }") == ["n03", "n11"]
