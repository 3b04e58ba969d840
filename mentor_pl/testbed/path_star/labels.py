"""Which positions of a response to a path-star problem are decisions."""

from __future__ import annotations

from collections.abc import Sequence

from mentor_pl.rewards.path_star import parse_problem
from mentor_pl.testbed.path_star.solutions import CLOSING, OPENING


def labels(problem_text: str, words: Sequence[str]) -> list[bool | None]:
    """For each word: True at a decision, False where one word is right whatever the outcome, None where none can be told.

    A position is labelled by what stands before it. The one decision is the first node, any of the star's arms; the
    words of the form, the nodes behind the first, the end of the box and the stop token are forced. The word that
    departs from that still has its label; those behind it have none.

    Raises:
        UsageError: the problem is no path-star.
    """
    arms = parse_problem(problem_text).arms
    found: list[bool | None] = []
    due = [[word] for word in OPENING] + [list(arms)]  # the words allowed at each position that is known so far
    for place, word in enumerate(words):
        if place == len(due):  # nothing is due behind the stop token
            break
        found.append(len(due[place]) > 1)
        if word not in due[place]:
            break
        if place == len(OPENING):
            due += [[node] for node in arms[word][1:]] + [[closing] for closing in CLOSING]
    return found + [None] * (len(words) - len(found))
