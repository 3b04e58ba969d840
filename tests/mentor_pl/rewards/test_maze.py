r"""The maze's rules and reward, on one maze small enough to draw:

  0 1 2 3
0 S # . .      S start c00, G goal c20, # blocked c01, c12, c33
1 . . # .
2 G . . .      D D leads from S to G in two moves, so D D D U, D D R L, D R L D, D R D L, D U D D and
3 . . . #      D D U D are right answers: four moves, all over free cells
"""

from __future__ import annotations

import random

import pytest

from mentor_pl.rewards.base import Grade
from mentor_pl.rewards.format import well_formed
from mentor_pl.rewards.maze import CELLS, MOVES, Maze, MazeReward, boxed_moves, faithful, parse_problem
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

PROBLEM = "blocked c01 c12 c33 goal c20 start c00"
MAZE = Maze(frozenset({(0, 1), (1, 2), (3, 3)}), goal=(2, 0), start=(0, 0))
RIGHT = r"<think> try R X check no try D c10 D c20 D c30 U c20 check yes </think> \boxed{ D D D U }"


def prompt(problem: str = PROBLEM, response_prefix: str = "") -> Prompt:
    return Prompt(index=0, problem=problem, answer="", token_ids=(), response_prefix=response_prefix)


def graded(response: str, response_prefix: str = "") -> Grade:
    return MazeReward().grade(prompt(response_prefix=response_prefix), Response(response))


def test_a_problem_reads_back_as_it_was_written() -> None:
    assert parse_problem(PROBLEM) == MAZE
    assert MAZE.text() == PROBLEM


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is 2 + 2?",
        "blocked goal c20 start c00",
        "blocked c01 c12 c33 goal c20",
        "blocked c01 c12 c44 goal c20 start c00",
        "drill " + PROBLEM,
        "blocked c20 c12 c33 goal c20 start c00",
        "blocked c00 c12 c33 goal c20 start c00",
    ],
)
def test_a_problem_that_is_no_maze_is_named_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as error:
        MazeReward().grade(prompt(text), Response(RIGHT))
    assert repr(text) in str(error.value)
    assert "\n" not in str(error.value)


def test_moves_stop_at_walls_and_blocked_cells() -> None:
    assert MAZE.step((0, 0), "D") == (1, 0)
    assert MAZE.step((1, 0), "R") == (1, 1)
    assert MAZE.step((0, 0), "R") is None  # c01 is blocked
    assert [MAZE.step((0, 0), "U"), MAZE.step((0, 0), "L")] == [None, None]
    assert [MAZE.step((3, 2), "D"), MAZE.step((2, 3), "R")] == [None, None]


def test_exactly_the_walks_of_four_free_moves_to_the_goal_are_right() -> None:
    walks = [[a, b, c, d] for a in MOVES for b in MOVES for c in MOVES for d in MOVES]
    right = {" ".join(walk) for walk in walks if MAZE.solved_by(walk)}
    assert right == {"D D D U", "D D R L", "D D U D", "D R D L", "D R L D", "D U D D"}
    assert not MAZE.solved_by(["D", "D"])  # on the goal, but with two moves
    assert not MAZE.solved_by(["D", "D", "U", "D", "U", "D"])
    assert not MAZE.solved_by(["D", "D", "D", "N"])


@pytest.mark.parametrize(
    ("response", "outcome", "formed"),
    [
        (RIGHT, 1, 1),
        (r"<think> </think> \boxed{ D D D U }", 1, 1),
        (r"<think> </think> \boxed{ D D D D }", 0, 1),  # the last move leaves the grid
        (r"<think> </think> \boxed{ D D R R }", 0, 1),  # ends on c22
        (r"<think> </think> \boxed{ D D }", 0, 1),
        (r"<think> </think> \boxed{ }", 0, 0),
        (r"<think> </think> \boxed{ R X }", 0, 1),
        (r"<think> </think> \boxed{ R } \boxed{ D D D U }", 1, 1),  # the last box counts
        (r"<think> </think> \boxed{ D D D U } \boxed{ R }", 0, 1),
        (r"\boxed{ D D D U }", 1, 0),
        (r"<think> \boxed{ D D D U } </think>", 1, 0),  # the box must follow the thinking
        (r"try <think> </think> \boxed{ D D D U }", 1, 0),
        (r"<think> <think> </think> \boxed{ D D D U }", 1, 0),
        (r"<think> </think> </think> \boxed{ D D D U }", 1, 0),
        (r"<think> </think> \boxed{ D D D U", 0, 0),  # never closed
        ("", 0, 0),
    ],
)
def test_the_box_alone_earns_the_outcome_and_the_form_is_the_papers(response: str, outcome: int, formed: int) -> None:
    grade = graded(response)
    assert (grade.total, grade.parts["outcome"]) == (outcome, outcome)
    assert well_formed(response) == bool(formed)


def test_text_that_the_prompt_has_written_counts_as_part_of_the_response() -> None:
    rest = RIGHT.removeprefix("<think>")
    assert [graded(rest, prefix).parts["attempts"] for prefix in ("<think>", "")] == [2, 0]


@pytest.mark.parametrize(
    ("thinking", "truth"),
    [
        ("try D c10 D c20 D c30 U c20", True),
        ("D c10 D c20", True),  # the walk also starts without `try`
        ("try R X check no try D c10 check yes", True),  # verdicts are not judged
        ("try D c10 R c11 R X", True),
        ("try D c20", False),  # D leads to c10
        ("try R c01", False),  # c01 is blocked
        ("try D X", False),  # c10 is free
        ("try R X D c10", False),  # an attempt ends with its X
        ("try D c10 try D c20", False),  # every attempt starts over
        ("try D R c11", False),  # a move without its cell
        ("try D c10 D", False),
        ("try D c10 c20", False),  # a cell without its move
        ("try X", False),
        ("try check yes", False),  # no walk was told
        ("", False),
    ],
)
def test_faithful_means_that_every_move_leads_where_the_thinking_says(thinking: str, truth: bool) -> None:
    assert faithful(MAZE, thinking.split()) is truth
    assert graded(f"<think> {thinking} </think>").parts["faithful"] == truth


def test_parts_count_checks_and_attempts_of_the_thinking_only() -> None:
    responses = [RIGHT, r"<think> try D c10 </think> check \boxed{ D }", r"\boxed{ D } try check"]
    assert [graded(response).parts["checks"] for response in responses] == [1, 0, 0]
    assert [graded(response).parts["attempts"] for response in responses] == [2, 1, 0]


def test_no_response_text_raises_and_totals_stay_in_range() -> None:
    rng = random.Random(0)
    words = [*MOVES, *CELLS, "try", "check", "<think>", "</think>", r"\boxed{", "}", "{", "\n", "é", "X", "<eos>", "\\"]
    responses = [
        "".join(rng.choice(["", " "]) + rng.choice(words) for _ in range(rng.randrange(40))) for _ in range(2000)
    ]
    responses += [r"\boxed{" * 20_000, "<think>" * 20_000, "{" * 100_000, r"<think></think>" + r"\boxed{ D" * 20_000]
    grades = MazeReward()([prompt()] * len(responses), [Response(response) for response in responses])
    assert len(grades.total) == len(responses)


def test_boxed_moves_are_empty_without_a_complete_box() -> None:
    assert boxed_moves("D D D U") == []
    assert boxed_moves(r"\boxed{ D \boxed{ U L }") == ["U", "L"]
