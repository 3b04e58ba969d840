"""Problems are distinct, solvable and split for good."""

from __future__ import annotations

import itertools

import pytest

from mentor_pl.rewards.maze import Maze, parse_problem
from mentor_pl.testbed.maze.problems import BLOCKED, Ways, large_mazes, split

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


def test_large_mazes_are_solvable_and_lie_on_one_side_for_good() -> None:
    sides = {side: list(itertools.islice(large_mazes(side, seed=0), 200)) for side in ("train", "heldout")}
    for maze in sides["train"] + sides["heldout"]:
        assert (maze.size, len(maze.blocked)) == (5, 5)
        assert maze.solved_by(Ways(maze).solution().split())
        assert parse_problem(maze.text()) == maze
    other = set(itertools.islice(large_mazes("heldout", seed=1), 2_000))
    assert not other & set(sides["train"])
    assert any(max(maze.goal) == 4 for maze in other)  # the fifth row or column is in use
