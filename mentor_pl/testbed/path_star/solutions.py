r"""Responses to path-star problems, as the demonstrations word them: `<think> look </think> \boxed{ n20 n05 }`.

There is nothing to think aloud: a thought that went back from the goal would turn the decision into forced words, and
the task into another one. `look` only keeps the place for a thought.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from mentor_pl.rewards.path_star import PathStar
from mentor_pl.runtime.ranges import check
from mentor_pl.testbed.tokenizer import EOS

OPENING: Final = ("<think>", "look", "</think>", r"\boxed{")
CLOSING: Final = ("}", EOS)


@dataclass(frozen=True)
class Style:
    """How a model of path-star answers.

    Attributes:
        prior: share of demonstrations, in [0, 1], that choose their arm by looking ahead to the goal; the others take
            any of the D arms evenly, so that P(right arm) = prior + (1 − prior)/D.
        execution: probability, in [0, 1], that a node behind the first one is the right one; otherwise it is any other
            node of the arms, and the path goes on from there.
    """

    prior: float
    execution: float = 1.0

    def __post_init__(self) -> None:
        check("prior", self.prior, at_least=0, at_most=1)
        check("execution", self.execution, at_least=0, at_most=1)


BASE: Final = Style(prior=0.05)
EXPERT: Final = Style(prior=1.0)


def path(star: PathStar, style: Style, rng: random.Random) -> list[str]:
    """The nodes of an answer in the given style: to the end of an arm, and never more than the right answer has."""
    right = star.path()
    nodes = [right[0] if rng.random() < style.prior else rng.choice(list(star.arms))]
    while len(nodes) < len(right) and nodes[-1] in star.behind:
        node = star.behind[nodes[-1]]
        if rng.random() >= style.execution:
            node = rng.choice([far for _, far in star.edges if far != node])
        nodes.append(node)
    return nodes


def solution(star: PathStar, style: Style, rng: random.Random) -> str:
    """A response in the given style, without a stop token."""
    return " ".join([*OPENING, *path(star, style, rng), CLOSING[0]])
