r"""Answers to path-star problems, as demonstrations word them: what the two models are pre-trained on.

    <think> n20 n05 </think> \boxed{ n20 n05 }

The thought walks out from the centre and the box repeats it. A thought that went back from the goal would turn the
decision into forced words, and the task into another one: that it cannot be taken apart is what makes it hard
(arXiv 2503.10542).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from mentor_pl.rewards.path_star import PathStar


@dataclass(frozen=True)
class Style:
    """How a model of the testbed answers; both numbers are probabilities.

    Attributes:
        prior: that the arm is chosen by looking ahead to the goal; otherwise it is any of the D arms, the right one
            too, so that P(right arm) = prior + (1 − prior)/D.
        execution: that a node which follows from the edges or from the thought is the right one; otherwise it is
            another node of the arms, and the thought goes on from there.
    """

    prior: float
    execution: float = 1.0


def answer(thought: Sequence[str], boxed: Sequence[str] | None = None) -> list[str]:
    """The words of an answer, without a stop token; the box repeats the thought unless it is given."""
    return ["<think>", *thought, "</think>", r"\boxed{", *(thought if boxed is None else boxed), "}"]


def solution(star: PathStar, style: Style, rng: random.Random) -> str:
    """An answer in the given style, without a stop token; its walk ends with an arm, or is as long as the right one."""
    nodes = [far for _, far in star.edges]

    def written(node: str) -> str:
        right = style.execution == 1 or rng.random() < style.execution
        return node if right else rng.choice([other for other in nodes if other != node])

    path = star.path()
    walk = [path[0] if rng.random() < style.prior else rng.choice(list(star.arms))]
    while len(walk) < len(path) and walk[-1] in star.behind:
        walk.append(written(star.behind[walk[-1]]))
    return " ".join(answer(walk, [written(node) for node in walk]))
