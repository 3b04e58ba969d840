"""Problems are distinct, solvable and split for good; demonstrations keep to their style and tell the truth."""

from __future__ import annotations

import random

import pytest

from mentor_pl.rewards.format import well_formed
from mentor_pl.rewards.maze import WALK_LENGTH, Maze, boxed_moves, faithful, parse_problem, thought
from mentor_pl.testbed.problems import BASE, BLOCKED, EXPERT, MAX_ATTEMPTS, Style, Ways, attempt_text, solution, split

# c00 start, c20 goal, c01 c12 c33 blocked: see the drawing in tests/mentor_pl/rewards/test_maze.py
MAZE = parse_problem("blocked c01 c12 c33 goal c20 start c00")


@pytest.fixture(scope="module")
def sides() -> tuple[list[Maze], list[Maze]]:
    return split("train"), split("heldout")


def test_sides_are_disjoint_distinct_and_large(sides: tuple[list[Maze], list[Maze]]) -> None:
    train, heldout = map(set, sides)
    assert not train & heldout
    assert (len(train), len(heldout)) == (len(sides[0]), len(sides[1]))
    assert len(heldout) == round(0.1 * (len(train) + len(heldout)))
    assert len(train) > 30_000


def test_the_split_is_the_same_for_every_build(sides: tuple[list[Maze], list[Maze]]) -> None:
    assert sides[0][0].text() == "blocked c01 c13 c21 goal c20 start c02"
    assert sides[1][0].text() == "blocked c01 c10 c12 goal c11 start c20"


def test_every_maze_is_solvable_in_exactly_four_moves(sides: tuple[list[Maze], list[Maze]]) -> None:
    for maze in sides[0][:300] + sides[1][:300]:
        assert len(maze.blocked) == BLOCKED
        assert maze.start != maze.goal
        assert maze.solved_by(Ways(maze).solution().split())


def test_ways_are_the_moves_after_which_the_goal_is_still_in_reach() -> None:
    ways = Ways(MAZE)
    assert ways.moves((0, 0), 4) == ["D"]  # U and L leave the grid, R is blocked
    assert ways.moves((1, 0), 3) == ["U", "D", "R"]  # D U D D; D D . .; D R . .
    assert ways.moves((3, 0), 1) == ["U"]
    assert ways.moves((2, 0), 1) == []
    assert ways.count() == 6
    assert ways.solution() == "D U D D"
    assert not ways.solvable_from((3, 2))  # three moves away: an odd number


def test_a_solution_without_checks_answers_with_its_only_attempt() -> None:
    assert attempt_text(MAZE, ["D", "R", "R"]) == "try D c10 R c11 R X"
    for seed in range(50):
        text = solution(Ways(MAZE), Style(skill=0.5, care=0.0, checks=0.0), random.Random(seed))
        words = thought(text)
        assert words.count("try") == 1
        assert "check" not in words
        assert boxed_moves(text) == words[1::2]


def test_a_checking_solution_tries_until_it_is_right_or_has_tried_four_times() -> None:
    seen = set()
    for seed in range(300):
        text = solution(Ways(MAZE), Style(skill=0.2, care=0.5, checks=1.0), random.Random(seed))
        *failed, last = " ".join(thought(text)).removeprefix("try ").split(" try ")
        right = MAZE.solved_by(boxed_moves(text))
        assert all(words.endswith("check no") for words in failed)
        assert last.endswith("check yes" if right else "check no")
        assert last.split()[:-2:2] == boxed_moves(text)
        assert right or len(failed) == MAX_ATTEMPTS - 1
        seen.add((len(failed) + 1, right))
    assert seen == {(1, True), (2, True), (3, True), (4, True), (4, False)}


def test_all_solutions_are_faithful_well_formed_and_short(sides: tuple[list[Maze], list[Maze]]) -> None:
    rng = random.Random(0)
    for maze in sides[0][:300]:
        for style in (BASE, EXPERT):
            text = solution(Ways(maze), style, rng)
            assert faithful(maze, thought(text))
            assert well_formed(text)
            assert len(boxed_moves(text)) <= WALK_LENGTH
            assert len(text.split()) <= 53


def test_skill_care_and_checks_are_probabilities() -> None:
    rng = random.Random(0)
    sure = [solution(Ways(MAZE), Style(skill=1.0, care=0.0, checks=0.0), rng) for _ in range(100)]
    assert all(MAZE.solved_by(boxed_moves(text)) for text in sure)
    careful = [solution(Ways(MAZE), Style(skill=0.0, care=1.0, checks=0.0), rng) for _ in range(100)]
    assert not any("X" in text for text in careful)
    checking = [solution(Ways(MAZE), Style(skill=0.0, care=0.0, checks=0.25), rng) for _ in range(2000)]
    assert 0.2 < sum("check" in text for text in checking) / 2000 < 0.3  # five standard errors are 0.048
