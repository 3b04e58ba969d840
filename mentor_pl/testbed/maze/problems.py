"""The mazes: three blocked cells of 4 × 4, and a goal that can be reached from the start in exactly four moves.

There are some 36,000 of them; each belongs for good to the training or to the held-out side, so that weights trained
under one seed are never measured on a problem that they have seen. Of the large mazes, 5 × 5 with five blocked cells,
there are too many to list: a hash of the problem says on which side one is.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import random
from collections.abc import Iterator
from typing import Final, Literal

from mentor_pl.rewards.maze import LARGE_SIZE, MOVES, WALK_LENGTH, Cell, Maze

BLOCKED: Final = 3  # blocked cells in a maze
BLOCKED_LARGE: Final = 5

Side = Literal["train", "heldout"]
_HELDOUT_SHARE: Final = 0.1
_SPLIT_SEED: Final = 20_251_004  # fixed: sides must not depend on the seed of a build


@functools.cache
def landings(blocked: frozenset[Cell], size: int) -> dict[Cell, dict[str, Cell]]:
    """For every free cell the moves that can be made from it and where they lead."""
    maze = Maze(blocked, (0, 0), (0, 0), size)
    return {
        cell: {move: after for move in MOVES if (after := maze.step(cell, move)) is not None} for cell in maze.cells()
    }


class Ways:
    """Which moves of a maze still lead to its goal in time."""

    def __init__(self, maze: Maze) -> None:
        self.maze = maze
        self._landings = landings(maze.blocked, maze.size)
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
    for blocked in itertools.combinations(Maze(frozenset(), (0, 0), (0, 0)).cells(), BLOCKED):
        free = Maze(frozenset(blocked), (0, 0), (0, 0)).cells()
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


def large_mazes(side: Side, seed: int) -> Iterator[Maze]:
    """Random large mazes of one side, without end; a goal four moves away, not the start."""
    rng = random.Random(f"large {side} {seed}")
    cells = Maze(frozenset(), (0, 0), (0, 0), LARGE_SIZE).cells()
    while True:
        *blocked, goal, start = rng.sample(cells, BLOCKED_LARGE + 2)
        maze = Maze(frozenset(blocked), goal, start, LARGE_SIZE)
        held_out = hashlib.sha256(maze.text().encode()).digest()[0] < 256 * _HELDOUT_SHARE
        if held_out == (side == "heldout") and Ways(maze).solvable_from(start):
            yield maze
