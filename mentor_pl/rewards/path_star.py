r"""Path-star and its reward: does the boxed path lead from the centre of the star to the goal?

    problem    edges n03 n11 | n07 n20 | n07 n03 | n20 n05 | start n07 goal n05
    response   <think> n20 n05 </think> \boxed{ n20 n05 }

A star is a centre, the start, with arms of nodes behind it; every edge is written from the centre outwards and ends
with a bar, in any order. The goal is the end of one arm, so the answer is that arm. Which arm it is can be told only by
going back from the goal; once its first node is written, every further one follows from the edges.

Sources: Bachmann and Nagarajan, arXiv 2403.06963; Frydenlund, arXiv 2503.10542.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

_EXAMPLE = "edges n03 n11 | n07 n20 | n07 n03 | n20 n05 | start n07 goal n05"
_NODE = re.compile(r"n\d\d")
_PROBLEM = re.compile(r"\s*edges((?:\s+n\d\d\s+n\d\d\s+\|)+)\s+start\s+(n\d\d)\s+goal\s+(n\d\d)\s*")
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")


@dataclass(frozen=True)
class PathStar:
    """One problem: the edges in the order of the prompt, from the centre outwards, the centre and the end to reach."""

    edges: tuple[tuple[str, str], ...]
    start: str
    goal: str

    @cached_property
    def behind(self) -> dict[str, str]:
        """The node behind each node of an arm but its last; nothing for the centre."""
        return {near: far for near, far in self.edges if near != self.start}

    @cached_property
    def arms(self) -> dict[str, list[str]]:
        """The nodes of every arm, by its first one."""
        return {far: self.follow(far) for near, far in self.edges if near == self.start}

    def follow(self, node: str) -> list[str]:
        """`node` and all that lie behind it on its arm."""
        path = [node]
        while len(path) <= len(self.edges) and path[-1] in self.behind:
            path.append(self.behind[path[-1]])
        return path

    def path(self) -> list[str]:
        """The answer: the arm that ends on the goal."""
        return next(arm for arm in self.arms.values() if arm[-1] == self.goal)

    def walked_by(self, nodes: Sequence[str]) -> bool:
        """Whether `nodes`, at least one, go out from the centre along the edges, on whatever arm and however far."""
        return bool(nodes) and nodes[0] in self.arms and list(nodes) == self.arms[nodes[0]][: len(nodes)]

    def text(self) -> str:
        """The problem as the prompt words it; `parse_problem` reads it back."""
        edges = " ".join(f"{near} {far} |" for near, far in self.edges)
        return f"edges {edges} start {self.start} goal {self.goal}"


def parse_problem(text: str) -> PathStar:
    """Read a problem such as `edges n03 n11 | n07 n20 | n07 n03 | n20 n05 | start n07 goal n05`.

    Raises:
        UsageError: the text has another form, its edges are no star around the start, or the goal ends no arm.
    """
    match = _PROBLEM.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{text[:80]!r} is no path-star problem: PathStarReward reads problems such as {_EXAMPLE!r} (nodes n00 to "
            "n99); `mentor testbed build` writes them"
        )
    nodes = _NODE.findall(match[1])
    star = PathStar(tuple(zip(nodes[::2], nodes[1::2], strict=True)), match[2], match[3])
    reached = [node for arm in star.arms.values() for node in arm]
    # each node but the centre is written once as the far end, and the arms together are all of these
    if star.start in nodes[1::2] or sorted(reached) != sorted(set(nodes[1::2])) or len(reached) != len(star.edges):
        raise UsageError(
            f"the edges of {text[:80]!r} are no star around {star.start}: every node but the start lies on one arm, "
            "and every edge is written from the start outwards"
        )
    if all(arm[-1] != star.goal for arm in star.arms.values()):
        raise UsageError(f"the goal {star.goal} of {text[:80]!r} ends no arm: it must be the last node of one")
    return star


def boxed_nodes(response: str) -> list[str]:
    r"""What stands in the last complete \boxed{…}, split at white space; empty without a box."""
    boxes: list[str] = _BOXED.findall(response)
    return boxes[-1].split() if boxes else []


def thought_nodes(response: str) -> list[str]:
    """The nodes named between the first `<think>` and the `</think>` after it, or the end of the text."""
    _, _, after = response.partition("<think>")
    return [word for word in after.partition("</think>")[0].split() if _NODE.fullmatch(word)]


class PathStarReward(Reward):
    """Whether the box holds the one path to the goal, which is read from the problem, not from the answer.

    Parts, each 0 or 1: `outcome`; `arm`, the box opens with the first node of the right arm, whatever follows;
    `faithful`, the nodes that the thinking names walk along edges from the centre, on whatever arm, and so do those of
    the box.

    Raises:
        UsageError: when called, for a prompt whose problem is no path-star. No response text raises.
    """

    range = (0.0, 1.0)

    def grade(self, prompt: Prompt, response: Response) -> Grade:
        """Grade one response; the part of it that the prompt has already written is put in front."""
        star, text = parse_problem(prompt.problem), prompt.response_prefix + response.text
        path, boxed = star.path(), boxed_nodes(text)
        parts = {
            "outcome": boxed == path,
            "arm": boxed[:1] == path[:1],
            "faithful": star.walked_by(thought_nodes(text)) and star.walked_by(boxed),
        }
        return Grade(float(parts["outcome"]), {name: float(value) for name, value in parts.items()})

    def example(self, prompt: Prompt) -> str | None:
        """The gold path in a box."""
        return rf"\boxed{{{prompt.answer}}}"
