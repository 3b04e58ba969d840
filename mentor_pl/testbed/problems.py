r"""The testbed's problems and the demonstrations that its two models are pre-trained on.

A problem is a maze with three blocked cells whose goal can be reached in exactly four moves. There are some 36,000 of
them; each belongs for good to the training or to the held-out side, so that weights trained under one seed are never
measured on a problem that they have seen.

A solution thinks in attempts, `try` and up to four pairs of a move and the cell that it leads to. The moves are forks,
everything else follows from the maze and the words before. A `Style` says how well the forks are taken and how often
a solution checks its attempt: after `check no` it tries again, after `check yes` or its last attempt it boxes the moves
of that attempt.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mentor_pl.rewards.maze import CELLS, MOVES, WALK_LENGTH, Cell, Maze, cell_name

BLOCKED: Final = 3  # blocked cells in a maze
MAX_ATTEMPTS: Final = 4
DRILL: Final = "drill"  # opens the prompt of a drill, which no problem of the testbed contains

Side = Literal["train", "heldout"]
_HELDOUT_SHARE: Final = 0.1
_SPLIT_SEED: Final = 20_251_004  # fixed: sides must not depend on the seed of a build


@dataclass(frozen=True)
class Style:
    """How a model of the testbed thinks.

    Attributes:
        skill: probability that a move is drawn from those that still lead to the goal in time, where there are any;
            otherwise it is a careful or a blind one.
        care: probability that such a move is drawn from those that can be made; a blind one is any of the four.
        checks: share of demonstrations that check their attempts, and try again when they fail.
    """

    skill: float
    care: float
    checks: float


BASE: Final = Style(skill=0.1, care=0.3, checks=0.03)
EXPERT: Final = Style(skill=0.85, care=0.0, checks=1.0)
DRILLS: Final = Style(skill=0.25, care=0.0, checks=1.0)


@functools.cache
def landings(blocked: frozenset[Cell]) -> dict[Cell, dict[str, Cell]]:
    """For every free cell the moves that can be made from it and where they lead."""
    maze = Maze(blocked, (0, 0), (0, 0))
    return {
        cell: {move: after for move in MOVES if (after := maze.step(cell, move)) is not None}
        for cell in CELLS.values()
        if cell not in blocked
    }


class Ways:
    """Which moves of a maze still lead to its goal in time."""

    def __init__(self, maze: Maze) -> None:
        self.maze = maze
        self._landings = landings(maze.blocked)
        self._reaching: list[set[Cell]] = [{maze.goal}]  # [n]: cells from which n moves can end on the goal
        for _ in range(WALK_LENGTH):
            # every move can be undone, so the cells one move before these are the cells one move after them
            self._reaching.append({cell for near in self._reaching[-1] for cell in self._landings[near].values()})

    def solvable_from(self, start: Cell) -> bool:
        """Whether four moves can lead from `start` to the goal."""
        return start in self._reaching[WALK_LENGTH]

    def moves(self, cell: Cell, left: int) -> list[str]:
        """The moves from `cell`, with `left` moves to go, after which the goal can still be reached in time."""
        return [move for move, after in self._landings[cell].items() if after in self._reaching[left - 1]]

    def count(self) -> int:
        """How many of the 256 walks of four moves solve the maze."""
        walks: dict[Cell, int] = {self.maze.start: 1}
        for left in range(WALK_LENGTH, 0, -1):
            onward: dict[Cell, int] = {}
            for cell, ways in walks.items():
                for move in self.moves(cell, left):
                    after = self._landings[cell][move]
                    onward[after] = onward.get(after, 0) + ways
            walks = onward
        return walks.get(self.maze.goal, 0)

    def solution(self) -> str:
        """The first solution in the order U, D, L, R, such as `D L D L`."""
        cell, moves = self.maze.start, list[str]()
        for left in range(WALK_LENGTH, 0, -1):
            moves.append(self.moves(cell, left)[0])
            cell = self._landings[cell][moves[-1]]
        return " ".join(moves)


def all_mazes() -> list[Maze]:
    """Every distinct maze with three blocked cells and a goal, not the start, four moves away; in a fixed order."""
    mazes: list[Maze] = []
    for blocked in itertools.combinations(CELLS.values(), BLOCKED):
        free = [cell for cell in CELLS.values() if cell not in blocked]
        for goal in free:
            ways = Ways(Maze(frozenset(blocked), goal, goal))
            starts = [cell for cell in free if cell != goal and ways.solvable_from(cell)]
            mazes += [Maze(frozenset(blocked), goal, start) for start in starts]
    return mazes


def split(side: Side) -> list[Maze]:
    """One side of the fixed split of all mazes, 90 % `train` and 10 % `heldout`, in a shuffled but fixed order."""
    mazes = _shuffled_mazes()
    held_out = round(len(mazes) * _HELDOUT_SHARE)
    return list(mazes[:held_out] if side == "heldout" else mazes[held_out:])


@functools.cache
def _shuffled_mazes() -> tuple[Maze, ...]:
    mazes = all_mazes()
    random.Random(_SPLIT_SEED).shuffle(mazes)
    return tuple(mazes)


def attempt(ways: Ways, style: Style, rng: random.Random) -> tuple[list[str], Cell | None]:
    """Moves of one attempt and the cell it ends on, None if its last move could not be made.

    It ends with its fourth move or with the first one that cannot be made.
    """
    cell: Cell | None = ways.maze.start
    moves: list[str] = []
    for left in range(WALK_LENGTH, 0, -1):
        assert cell is not None
        choices = ways.moves(cell, left) if rng.random() < style.skill else []
        if not choices and rng.random() < style.care:
            choices = list(landings(ways.maze.blocked)[cell])
        moves.append(rng.choice(choices or list(MOVES)))
        cell = ways.maze.step(cell, moves[-1])
        if cell is None:
            break
    return moves, cell


def attempt_text(maze: Maze, moves: Sequence[str]) -> str:
    """`try` and every move with the cell it leads to."""
    words, cell = ["try"], maze.start
    for move in moves:
        after = maze.step(cell, move)
        words += [move, cell_name(after)]
        cell = after or cell
    return " ".join(words)


def solution(ways: Ways, style: Style, rng: random.Random) -> str:
    """A response to the maze in the given style, without a stop token."""
    checking = rng.random() < style.checks
    moves, cell = attempt(ways, style, rng)
    words = ["<think>", attempt_text(ways.maze, moves)]
    tries = 1
    while checking:
        right = cell == ways.maze.goal
        words.append("check yes" if right else "check no")
        if right or tries == MAX_ATTEMPTS:
            break
        moves, cell = attempt(ways, style, rng)
        words.append(attempt_text(ways.maze, moves))
        tries += 1
    return " ".join([*words, r"</think> \boxed{", *moves, "}"])
