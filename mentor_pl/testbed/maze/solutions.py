"""Solutions of a maze as a style words them: what the two models are pre-trained on, and what traces say.

A solution thinks in attempts, `try` and up to four pairs of a move and the cell that it leads to. After `check no` it
tries again, after `check yes` or its last attempt it boxes the moves of that attempt:

    <think> try L X check no try D c32 R c33 L c32 R c33 check yes </think> \boxed{ D R L R }
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from mentor_pl.rewards.maze import CHESS, MOVES, OFF, WALK_LENGTH, Cell, Maze, boxed_moves, cell_name
from mentor_pl.testbed.maze.problems import Ways, landings

MAX_ATTEMPTS: Final = 4
FILLERS: Final = ("now", "so", "well")
_CHESS_NAMES: Final = {cell: name for name, cell in CHESS.items()}

Notation = Literal["rows", "chess"]


@dataclass(frozen=True)
class Style:
    """How a model of the testbed thinks; every number is a probability.

    Attributes:
        checks: that a response checks its attempts, and tries again when they fail.
        skill: that a move is drawn from those that still lead to the goal in time, where there are any; otherwise it
            is a careful or a blind one.
        care: that such a move is drawn from those that can be made; a blind one is any of the four.
        execution: that a forced word (cell, verdict, boxed move) is the right one; else it is another of its kind.
        fillers: that a redundant word stands in front of `try` and of a move.
        notation: how cells are named: `rows`, c21, as problems do, or `chess`, b3.
    """

    checks: float
    skill: float
    care: float = 0.0
    execution: float = 1.0
    fillers: float = 0.0
    notation: Notation = "rows"


@dataclass(frozen=True)
class SolutionWriter:
    """Writes solutions of one maze in one style."""

    ways: Ways
    style: Style
    rng: random.Random

    @property
    def maze(self) -> Maze:
        """The problem."""
        return self.ways.maze

    def solution(self) -> str:
        """A response, without a stop token."""
        checking = self.rng.random() < self.style.checks
        words = ["<think>"]
        for tries in range(1, MAX_ATTEMPTS + 1):
            moves, cell = self.attempt()
            words += self.attempt_words(moves)
            if not checking:
                break
            right = cell == self.maze.goal
            words += ["check", self._forced("yes" if right else "no", ("yes", "no"))]
            if right or tries == MAX_ATTEMPTS:
                break
        boxed = [self._forced(move, tuple(MOVES)) for move in moves]
        return " ".join([*words, r"</think> \boxed{", *boxed, "}"])

    def attempt(self) -> tuple[list[str], Cell | None]:
        """Moves of one attempt and the cell it ends on, None if its last move could not be made.

        It ends with its fourth move or with the first one that cannot be made.
        """
        style, rng, cell = self.style, self.rng, self.maze.start
        moves = list[str]()
        for left in range(WALK_LENGTH, 0, -1):
            choices = self.ways.moves(cell, left) if rng.random() < style.skill else []
            if not choices and rng.random() < style.care:
                choices = list(landings(self.maze.blocked, self.maze.size)[cell])
            moves.append(rng.choice(choices or list(MOVES)))
            after = self.maze.step(cell, moves[-1])
            if after is None:
                return moves, None
            cell = after
        return moves, cell

    def attempt_words(self, moves: list[str]) -> Iterator[str]:
        """`try` and every move with the cell it leads to."""
        yield from self._filler()
        yield "try"
        cell: Cell | None = self.maze.start
        names = (*(self._name(free) for free in self.maze.cells()), OFF)
        for place, move in enumerate(moves):
            if place:
                yield from self._filler()
            assert cell is not None
            cell = self.maze.step(cell, move)
            yield move
            yield self._forced(self._name(cell), names)

    def _name(self, cell: Cell | None) -> str:
        return _CHESS_NAMES[cell] if cell is not None and self.style.notation == "chess" else cell_name(cell)

    def _forced(self, word: str, kind: tuple[str, ...]) -> str:
        """The word, or with probability 1 − execution another of its kind."""
        if self.style.execution == 1 or self.rng.random() < self.style.execution:
            return word
        return self.rng.choice([other for other in kind if other != word])

    def _filler(self) -> Iterator[str]:
        if self.style.fillers and self.rng.random() < self.style.fillers:
            yield self.rng.choice(FILLERS)


def solution(maze: Maze, style: Style, rng: random.Random) -> str:
    """A response to the maze in the given style, without a stop token."""
    return SolutionWriter(Ways(maze), style, rng).solution()


def right_solution(maze: Maze, style: Style, rng: random.Random) -> str:
    """A response that is right: the first that is, of those that the style draws."""
    writer = SolutionWriter(Ways(maze), style, rng)
    while True:
        text = writer.solution()
        if maze.solved_by(boxed_moves(text)):
            return text
