"""The maze's models, made from nothing: a trunk, then bases and experts from it, each as its dials say.

The trunk learns from drills what all need: to say where a move leads, to check a goal, to try again, to copy
the last attempt into the box. Drills open with a marker of their own, so a base keeps these skills and yet, on a
problem, uses the last three of them only as often as its dial says. One maze in four is a large one in every stage.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from mentor_pl.rewards.maze import CELLS, CHESS, LARGE, MOVES, OFF, Maze
from mentor_pl.testbed.dials import check_probabilities
from mentor_pl.testbed.maze.problems import large_mazes, split
from mentor_pl.testbed.maze.solutions import FILLERS, Notation, Style, solution
from mentor_pl.testbed.model_maker import ModelMaker, Progress
from mentor_pl.testbed.pretrain import Encoded, encode_text
from mentor_pl.testbed.tokenizer import DRILL, build_pieces_tokenizer, build_tokenizer

_FORM: Final = ("<think>", "</think>", "try", "check", "yes", "no", r"\boxed{", "}")
WORDS: Final = ("blocked", "goal", "start", LARGE, DRILL, *_FORM, *MOVES, OFF, *CELLS, *CHESS, *FILLERS)

Width = Literal[32, 64, 128, 256]
Kind = Literal["words", "pieces", "phrases"]

DRILLS: Final = Style(skill=0.25, checks=1.0)
LARGE_SHARE: Final = 4  # one maze in so many is a large one


@dataclass(frozen=True)
class PolicyDials:
    """What the base is before reinforcement learning; every number is a probability.

    Attributes:
        prior: that a response uses the useful strategy: checks its attempt and tries again; 0 to 1.
        skill: that a move is one that still leads to the goal in time; 0 to 1.
        execution: that a forced word of its demonstrations, a cell, a verdict or a boxed move, is right; 0.5 to 1.
    """

    prior: float = 0.05
    skill: float = 0.1
    execution: float = 1.0

    def __post_init__(self) -> None:
        check_probabilities("policy", prior=self.prior, skill=self.skill, execution=self.execution)

    @property
    def style(self) -> Style:
        """Of the demonstrations."""
        return Style(checks=self.prior, skill=self.skill, care=0.3, execution=self.execution)


@dataclass(frozen=True)
class ExpertDials:
    """What the expert is; it always uses the strategy.

    Attributes:
        skill: probability that a move is one that still leads to the goal in time; 0 to 1.
        fillers: probability of a redundant word in front of each attempt and move; 0 to 1.
        notation: how its thinking names cells: rows (c21), as the policy does, or chess (b3), which no base has seen.
        width: of its residual stream: its size; the policy's is 64.
        tokens: what its tokens are: the policy's words; pieces of words, such as c, 2 and 1; or phrases, a move with
            the cell that it leads to.
    """

    skill: float = 0.85
    fillers: float = 0.0
    notation: Notation = "rows"
    width: Width = 64
    tokens: Kind = "words"

    def __post_init__(self) -> None:
        check_probabilities("expert", skill=self.skill, fillers=self.fillers)

    @property
    def style(self) -> Style:
        """Of the demonstrations, and of the traces."""
        return Style(checks=1.0, skill=self.skill, fillers=self.fillers, notation=self.notation)


class MazeModels(ModelMaker):
    """Makes the maze's models.

    Args:
        seed, scale, progress: as of `ModelMaker`.
        tokens: what the tokens of all of them are.
    """

    steps: ClassVar = {"trunk": 1_400, "policy": 500, "expert": 1_000}
    rates: ClassVar = {"trunk": 3e-3, "policy": 1e-3, "expert": 2e-3}

    def __init__(self, seed: int, scale: float, progress: Progress, tokens: Kind = "words") -> None:
        super().__init__(_tokenizer(tokens), seed, scale, progress)

    def make(self, dials: PolicyDials | ExpertDials) -> LlamaForCausalLM:
        """The model of these dials, in float32 and eval mode."""
        return self._policy(dials) if isinstance(dials, PolicyDials) else self._expert(dials)

    def drill(self) -> list[Encoded]:
        """Solutions of mazes that the marker opens."""
        return self._encode(self._mazes(1), DRILLS, 32_000, DRILL)

    def _policy(self, dials: PolicyDials) -> LlamaForCausalLM:
        model = self.trunk()
        demonstrations = self._encode(self._mazes(2), dials.style, 16_000)
        return self.train("policy", model, demonstrations + self.drills[: self.count(12_000)])

    def _expert(self, dials: ExpertDials) -> LlamaForCausalLM:
        return self.train("expert", self.trunk(dials.width), self._encode(self._mazes(3), dials.style, 32_000))

    def _mazes(self, salt: int) -> Iterator[Maze]:
        """Those of the training side in turn, from a place of the salt's own on, with large ones between."""
        mazes = split("train")
        first = salt * 4_001 % len(mazes)
        small, large = itertools.cycle([*mazes[first:], *mazes[:first]]), large_mazes("train", self.seed + salt)
        return (next(large if n % LARGE_SHARE == 0 else small) for n in itertools.count())

    def _encode(self, mazes: Iterable[Maze], style: Style, count: int, *marker: str) -> list[Encoded]:
        rng = random.Random(f"{self.seed} {style}")
        return [
            encode_text(" ".join([*marker, maze.text()]), f" {solution(maze, style, rng)}", self.tokenizer)
            for maze in itertools.islice(mazes, self.count(count))
        ]


def _tokenizer(tokens: Kind) -> PreTrainedTokenizerFast:
    if tokens == "pieces":
        return build_pieces_tokenizer(WORDS)
    phrases = [f"{move} {cell}" for move in MOVES for cell in (*CELLS, OFF)] if tokens == "phrases" else []
    return build_tokenizer(WORDS, phrases)
